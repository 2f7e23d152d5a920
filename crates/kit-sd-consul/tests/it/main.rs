//! Tests of kit-sd-consul, through its public interface.

mod agent;
mod double;
mod empty;
mod entries;
mod failures;
mod index;
mod owned;
mod proxy;
mod real;
mod registrar;
mod settings;
