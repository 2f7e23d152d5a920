//! Random histories, against a slow and simple model.
