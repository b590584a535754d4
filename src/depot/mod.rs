//! Content at rest: packs of chunks, their index, leases, collection and scrub. Both roles use it.
