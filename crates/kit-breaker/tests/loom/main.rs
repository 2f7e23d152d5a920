//! The state machine under the model checker.
