//! Every call of the protocol, by everybody who has no right to what it is about. A call that is new fails these tests until its row is here.

mod coordinator;
mod requests;
mod source;
