//! Both ends of moving content between agent and coordinator.
