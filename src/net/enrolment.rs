//! The one string that an administrator hands over: where the coordinator is, how to recognise it, and a secret that works once.
//!
//! Its form is `https://HOST:PORT/#FINGERPRINT.SECRET`: the part behind `#` is never sent to a server, should somebody open it in a browser.

use std::str::FromStr;

use super::NetError;
use super::authority::Fingerprint;

/// An enrolment string, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The coordinator's address, such as `https://sync.example.com:7443`.
    pub address: String,
    /// The fingerprint of its certificate authority.
    pub fingerprint: Fingerprint,
    /// The one-time secret.
    pub secret: String,
}

impl std::fmt::Display for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/#{}.{}", self.address, self.fingerprint, self.secret)
    }
}

impl std::fmt::Debug for Enrolment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Enrolment({}, secret redacted)", self.address)
    }
}

impl FromStr for Enrolment {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let wrong =
            || NetError::certificate("the enrolment string", "it must look like https://HOST:PORT/#FINGERPRINT.SECRET; copy all of it");
        let (address, rest) = text.trim().split_once("/#").ok_or_else(wrong)?;
        let (fingerprint, secret) = rest.split_once('.').ok_or_else(wrong)?;
        if !address.starts_with("https://") || secret.is_empty() {
            return Err(wrong());
        }
        Ok(Self { address: address.to_owned(), fingerprint: fingerprint.parse()?, secret: secret.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_string_round_trips_and_hides_its_secret() {
        let text = format!("https://localhost:7443/#{}.s3cret", "ab".repeat(32));
        let enrolment: Enrolment = text.parse().unwrap();
        assert_eq!(enrolment.to_string(), text);
        assert!(!format!("{enrolment:?}").contains("s3cret"));
    }

    #[test]
    fn anything_else_is_refused() {
        let pin = "ab".repeat(32);
        for text in ["", "https://localhost:7443", "https://x/#zz.secret", &format!("http://x/#{pin}.s"), &format!("https://x/#{pin}.")] {
            assert!(text.parse::<Enrolment>().is_err(), "{text}");
        }
    }
}
