//! Our server under `buf curl` (Go) and h2load (nghttp2).
