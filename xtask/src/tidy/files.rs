//! Files: their first line, their length, whitespace, and the size of the core.

use std::path::Path;

use super::Finding;
use crate::workspace::Workspace;

const LONGEST: usize = 500;
const NINE_OF_TEN: usize = 300;
const MEDIAN: usize = 120;
/// Lines of code in kit-base: without docs, comments, blanks and tests.
const CORE_CODE: usize = 2_500;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in workspace.files_with("rs") {
        rust_file(path, &workspace.read(path), &mut findings);
    }
    for path in ["rs", "md", "toml", "yml", "sh"].iter().flat_map(|extension| workspace.files_with(extension)) {
        whitespace(path, &workspace.read(path), &mut findings);
    }
    sizes(workspace, &mut findings);
    core(workspace, &mut findings);
    findings
}

/// One line on the sizes of the crates' files, also when all is well.
pub(super) fn report(workspace: &Workspace) -> String {
    let lengths = lengths(workspace);
    format!(
        "{} files in crates/*/src: median {} lines, 90th percentile {}, longest {}; kit-base: {} lines of code",
        lengths.len(),
        percentile(&lengths, 50),
        percentile(&lengths, 90),
        percentile(&lengths, 100),
        core_code(workspace)
    )
}

fn rust_file(path: &Path, text: &str, findings: &mut Vec<Finding>) {
    if !text.starts_with("//!") {
        let fix = "begin the file with one `//!` line that says what is in it";
        findings.push(Finding::new(path, 1, "the first line is not `//!`", fix));
    }
    let lines = text.lines().count();
    // Code that a tool wrote is as long as it is.
    let generated = text.lines().take(3).any(|line| line.contains("@generated"));
    if lines > LONGEST && !generated && !is_test(path) {
        let fix = "split it: one concept a file";
        findings.push(Finding::new(path, LONGEST + 1, format!("{lines} lines, over {LONGEST}"), fix));
    }
}

fn whitespace(path: &Path, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            findings.push(Finding::new(path, index + 1, "trailing whitespace", "delete it"));
        }
    }
    let lines = text.lines().count();
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        findings.push(Finding::new(path, lines, "the file does not end with exactly one newline", "end it with one"));
    }
}

fn sizes(workspace: &Workspace, findings: &mut Vec<Finding>) {
    let lengths = lengths(workspace);
    for (what, percent, limit) in [("median", 50, MEDIAN), ("90th percentile", 90, NINE_OF_TEN)] {
        let found = percentile(&lengths, percent);
        if found >= limit {
            let message =
                format!("the {what} of file lengths in crates/*/src is {found} lines; it stays under {limit}");
            findings.push(Finding::new("crates", 1, message, "split the longest files: one concept a file"));
        }
    }
}

fn core(workspace: &Workspace, findings: &mut Vec<Finding>) {
    let lines = core_code(workspace);
    if lines >= CORE_CODE {
        let message = format!("kit-base has {lines} lines of code; it stays under {CORE_CODE}");
        let fix = "move what only one crate uses to that crate";
        findings.push(Finding::new("crates/kit-base/src", 1, message, fix));
    }
}

fn core_code(workspace: &Workspace) -> usize {
    let core = workspace.files_with("rs").filter(|path| path.starts_with("crates/kit-base/src"));
    core.filter(|path| !is_test(path)).map(|path| code_lines(&workspace.read(path))).sum()
}

/// Lines that are neither blank, comment nor in a test module. The end of a test module is found by its
/// indentation, which rustfmt keeps.
fn code_lines(text: &str) -> usize {
    let mut count = 0;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed == "#[cfg(test)]" {
            let end = format!("{}}}", &line[..line.len() - line.trim_start().len()]);
            let one_liner = lines.next().is_none_or(|item| item.trim_end().ends_with([';', '}']));
            if !one_liner {
                lines.by_ref().find(|line| *line == end);
            }
        } else if !trimmed.is_empty() && !trimmed.starts_with("//") {
            count += 1;
        }
    }
    count
}

fn lengths(workspace: &Workspace) -> Vec<usize> {
    let in_src = |path: &&Path| {
        path.starts_with("crates") && path.components().nth(2).is_some_and(|dir| dir.as_os_str() == "src")
    };
    let sources = workspace.files_with("rs").filter(in_src);
    let mut lengths: Vec<usize> = sources.map(|path| workspace.read(path).lines().count()).collect();
    lengths.sort_unstable();
    lengths
}

/// The smallest of the sorted values that `percent` of them do not exceed; 0 of none.
fn percentile(sorted: &[usize], percent: usize) -> usize {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

fn is_test(path: &Path) -> bool {
    let in_test_folder = path.iter().any(|part| part == "tests" || part == "benches");
    in_test_folder || path.file_name().is_some_and(|name| name == "tests.rs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::fixture::Fixture;

    fn long(lines: usize) -> String {
        format!("//! Long.\n{}", "const X: u8 = 0;\n".repeat(lines - 1))
    }

    #[test]
    fn a_file_without_a_heading_line_is_found() {
        let fixture = Fixture::new();
        fixture.file("crates/kit-base/src/a.rs", "use std::fmt;\n");
        fixture.finds(check, "crates/kit-base/src/a.rs:1: the first line is not `//!`");
    }

    #[test]
    fn a_file_over_500_lines_is_found_unless_it_is_a_test_or_generated() {
        let fixture = Fixture::new();
        for number in 0..30 {
            fixture.file(&format!("crates/kit-base/src/short{number}.rs"), "//! Short.\n");
        }
        fixture.file("crates/kit-base/src/a.rs", &long(500));
        fixture.file("crates/kit-base/tests/it/a.rs", &long(501));
        fixture.file("crates/kit-base/benches/a.rs", &long(501));
        fixture.file("examples/x/src/pb.rs", &format!("//! @generated from x.proto.\n{}", long(600)));
        fixture.finds_nothing(check);
        fixture.file("crates/kit-base/src/a.rs", &long(501));
        fixture.finds(check, "crates/kit-base/src/a.rs:501: 501 lines, over 500");
    }

    #[test]
    fn long_files_on_the_whole_are_found() {
        let fixture = Fixture::new();
        for (number, lines) in [119, 119, 119, 119, 118, 300, 300, 300, 300, 300].into_iter().enumerate() {
            fixture.file(&format!("crates/kit-x/src/f{number}.rs"), &long(lines));
        }
        fixture.finds(check, "the 90th percentile of file lengths in crates/*/src is 300 lines");
        assert!(!fixture.findings(check).contains("median"));
        fixture.file("crates/kit-x/src/f0.rs", &long(120));
        fixture.finds(check, "the median of file lengths in crates/*/src is 120 lines");
        assert!(report(&fixture.load()).starts_with("10 files in crates/*/src: median 120 lines, 90th percentile 300"));
    }

    #[test]
    fn whitespace_at_the_end_of_lines_and_files_is_found() {
        let fixture = Fixture::new();
        fixture.file("README.md", "# kit \n\ntext\r\nno newline");
        fixture.finds(check, "README.md:1: trailing whitespace");
        fixture.finds(check, "README.md:3: trailing whitespace");
        fixture.finds(check, "README.md:4: the file does not end with exactly one newline");
        fixture.file("README.md", "# kit\n\n");
        fixture.finds(check, "README.md:2: the file does not end with exactly one newline");
    }

    #[test]
    fn a_core_of_2500_lines_of_code_is_found() {
        let fixture = Fixture::new();
        for number in 0..25 {
            fixture.file(&format!("crates/kit-base/src/f{number}.rs"), &long(101));
        }
        fixture.finds(check, "crates/kit-base/src:1: kit-base has 2500 lines of code; it stays under 2500");
        fixture.file("crates/kit-base/src/f0.rs", &long(100));
        fixture.finds_nothing(check);
    }

    #[test]
    fn docs_comments_blanks_and_tests_are_not_code() {
        let text = "//! Docs.\n\nuse a::b;\n\n/// Docs.\nfn f() {\n    // why\n    g();\n}\n\n\
                    #[cfg(test)]\nuse c::d;\n#[cfg(test)]\nmod tests {\n    fn t() {\n    }\n}\n\nfn h() {}\n";
        assert_eq!(code_lines(text), 5);
    }
}
