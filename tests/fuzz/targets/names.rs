//! Names and ids that people, repositories and other programs make up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use skybridge::model::{NAME_BYTES_MAX, Name, NodeId};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = Name::new(text) {
        assert_eq!(name.as_str(), text, "a name is kept byte by byte");
        assert!(!text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains(['/', '\0']) && text != "." && text != "..");
        assert_eq!(Name::new(text).map(|again| again.folded()), Ok(name.folded()));
    }
    if let Ok(id) = text.parse::<NodeId>() {
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
    }
});
