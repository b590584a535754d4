//! Servers, channels, TLS, enrolment credentials and layers. Knows gRPC and sockets, nothing of documents.
