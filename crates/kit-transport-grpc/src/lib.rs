//! gRPC for kit endpoints: a server as a plain service on `http` types, and a typed client.
