//! What the internet sends: each client gets the right answer or is cut off in time, and others are served meanwhile.

mod crowd;
mod floods;
mod framing;
mod headers;
mod pipelines;
mod resets;
mod running;
mod slow;
mod wellbehaved;
