//! Decisions, as pure functions: what to do next, who wins, who may. No I/O, no clock, no randomness.
