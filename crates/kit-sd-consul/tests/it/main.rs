//! Tests of kit-sd-consul, through its public interface.

mod agent;
mod registrar;
mod settings;
