//! Page tokens: where a listing goes on, in a form that callers cannot make sense of.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::model::Fault;
use crate::wire::ProtocolError;

/// The longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Makes a token; empty after the last page.
pub(in crate::coordinator) fn encode<T: Serialize>(next: Option<&T>) -> Result<String, Fault> {
    let Some(next) = next else { return Ok(String::new()) };
    Ok(URL_SAFE_NO_PAD.encode(postcard::to_stdvec(next).map_err(Fault::internal)?))
}

/// Reads a token; `None` for the first page.
pub(in crate::coordinator) fn decode<T: DeserializeOwned>(token: &str) -> Result<Option<T>, ProtocolError> {
    let wrong = || ProtocolError::new("page_token", "is not one that this call gave");
    if token.is_empty() {
        return Ok(None);
    }
    if token.len() > TOKEN_BYTES_MAX {
        return Err(wrong());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
    match postcard::take_from_bytes(&bytes) {
        Ok((next, [])) => Ok(Some(next)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_junk_is_refused() {
        let next = (7_u64, "name".to_owned());
        let token = encode(Some(&next)).unwrap();
        assert_eq!(decode(&token), Ok(Some(next)));
        assert_eq!(decode::<(u64, String)>(""), Ok(None));
        for junk in ["!", "AAAA", &format!("{token}AA"), &"A".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(decode::<(u64, String)>(junk).is_err(), "{junk}");
        }
    }
}
