//! The commands that people use: arguments in, people's text or JSON out.
