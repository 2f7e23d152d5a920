//! Running one test of this binary in a process of its own, where environment and death are its own.

use std::env;
use std::process::Command;

/// The variable that tells a helper that it is the child.
const ROLE: &str = "KIT_TESTING_ROLE";

/// This binary again, running the test `name` alone, which finds itself in `role`.
pub(crate) fn in_role(name: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command
}

/// Whether this process was started by [`in_role`] for this role.
pub(crate) fn has_role(role: &str) -> bool {
    env::var(ROLE).is_ok_and(|given| given == role)
}
