//! What the depot promises.
