//! The model of a disk compared with the running kernel, and what it adds: power loss, faults, and the real repository over it.

mod compare;
mod machine;
mod op;
mod power;
mod repository;
mod side;
mod storage;
