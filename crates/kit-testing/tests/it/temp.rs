//! Temporary folders vanish.

use std::fs;
use std::panic::catch_unwind;

use kit_testing::temp::temp_dir;

#[test]
fn a_folder_vanishes_with_its_content_also_in_a_panic() {
    let mut path = None;
    let panic = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let folder = temp_dir().unwrap();
        fs::create_dir(folder.path().join("inner")).unwrap();
        fs::write(folder.path().join("inner/file"), "x").unwrap();
        path = Some(folder.path().to_owned());
        panic!("a test fails");
    }));
    assert!(panic.is_err());
    let path = path.unwrap();
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with("kit-test-"));
    assert!(!path.exists());
}
