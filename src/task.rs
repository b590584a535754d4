//! The only place that spawns tasks: named, tracked, cancelled by token.
