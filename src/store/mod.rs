//! The transactional key-value interface that all durable state is written against, and its back ends.
