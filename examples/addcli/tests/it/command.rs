//! What addcli prints, and what it says when it is used wrongly.

use addsvc::Adder;

use crate::{At, addcli, serve, serve_grpc, told};

#[tokio::test]
async fn answers_are_printed_as_by_go_kit() {
    for addr in [serve(Adder).await, serve_grpc(Adder).await] {
        assert_eq!(told(&addcli(addr, ["1", "2"]).await), (Some(0), "1 + 2 = 3\n", ""));
        assert_eq!(told(&addcli(addr, ["--method", "sum", "-5", "3"]).await), (Some(0), "-5 + 3 = -2\n", ""));
        let concat = addcli(addr, ["--method", "concat", "a", "b"]).await;
        assert_eq!(told(&concat), (Some(0), "\"a\" + \"b\" = \"ab\"\n", ""));
        let dashes = addcli(addr, ["--method", "concat", "--", "-a", "--b"]).await;
        assert_eq!(told(&dashes), (Some(0), "\"-a\" + \"--b\" = \"-a--b\"\n", ""));
    }
}

#[tokio::test]
async fn errors_are_told_on_stderr_and_by_the_exit_code() {
    for addr in [serve(Adder).await, serve_grpc(Adder).await] {
        assert_eq!(told(&addcli(addr, ["0", "0"]).await), (Some(1), "", "error: can't sum two zeroes\n"));
        assert_eq!(told(&addcli(addr, ["2147483647", "1"]).await), (Some(1), "", "error: integer overflow\n"));
        let long = addcli(addr, ["--method", "concat", "12345", "678901"]).await;
        assert_eq!(told(&long), (Some(1), "", "error: result exceeds maximum size\n"));
        for (a, b, named) in
            [("x", "1", "\"x\""), ("1", "1.5", "\"1.5\""), ("1", "9223372036854775808", "9223372036854775808")]
        {
            let output = addcli(addr, [a, b]).await;
            let (code, stdout, stderr) = told(&output);
            assert_eq!((code, stdout), (Some(1), ""));
            assert!(stderr.starts_with("error: ") && stderr.contains(named), "{stderr}");
        }
    }
}

#[tokio::test]
async fn wrong_usage_is_one_and_says_how() {
    let addr = serve(Adder).await;
    for args in [["1", "--method=sum"], ["--timeout=soon", "1"], ["--method=product", "1"]] {
        let output = addcli(addr, args).await;
        let (code, stdout, stderr) = told(&output);
        assert_eq!((code, stdout), (Some(1), ""));
        assert!(stderr.contains("--help"), "{stderr}");
    }
    let (code, stderr) = (addcli(addr, ["1", "2", "3"]).await.status.code(), ());
    assert_eq!((code, stderr), (Some(1), ()));
}

#[tokio::test]
async fn nobody_there_is_told_with_its_cause() {
    let nobody = kit_testing::ports::listener().unwrap().local_addr().unwrap();
    for flag in ["--http-addr", "--grpc-addr"] {
        let output = addcli(At(flag, nobody), ["1", "2"]).await;
        let (code, _, stderr) = told(&output);
        assert_eq!(code, Some(1));
        assert!(stderr.starts_with("error: ") && stderr.contains(&nobody.to_string()), "{stderr}");
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_named() {
    for (flag, address) in [
        ("--http-addr", "http://127.0.0.1:8081"),
        ("--http-addr", ""),
        ("--grpc-addr", "x/y"),
        ("--grpc-addr", "x"),
        ("--grpc-addr", "x:y"),
        ("--grpc-addr", ":8082"),
    ] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_addcli")).args([flag, address, "1", "2"]).output().unwrap();
        let wanted = format!("error: {address:?} is no address: want host:port\n");
        assert_eq!(told(&output), (Some(1), "", &*wanted));
    }
}

#[tokio::test]
async fn two_addresses_are_one_too_many() {
    let at = serve_grpc(Adder).await;
    let output = addcli(at, ["--http-addr", &at.1.to_string(), "1", "2"]).await;
    let (code, stdout, stderr) = told(&output);
    assert_eq!((code, stdout), (Some(1), ""));
    assert!(stderr.contains("--http-addr") && stderr.contains("--grpc-addr"), "{stderr}");
}
