//! What the internet sends: each client gets the right answer or is cut off in time, and others are served meanwhile.

mod framing;
