//! A small made-up library that looks like a real one: texts, tables, photographs with EXIF, folders in folders, one large document.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rustix::fs::{XattrFlags, setxattr};

const PROJECTS: [&str; 3] = ["Harbour bridge", "Railway station", "Größere Halle"];
const MONTHS: [&str; 6] = ["January", "February", "March", "April", "May", "June"];
/// Enough for several chunks.
const LOG_LINES: u32 = 40_000;

/// Makes the library in a new folder, whole or not at all, and returns the folder's path. One that is there is left as it is.
pub(super) fn make(parent: &Path) -> io::Result<PathBuf> {
    let folder = parent.join("Documents");
    if folder.exists() {
        return Ok(folder);
    }
    // Outside the folder that the agent is told of, so that an interrupted start leaves no half of a library there.
    let draft = parent.join(".draft");
    if draft.exists() {
        fs::remove_dir_all(&draft)?;
    }
    fs::create_dir_all(&draft)?;
    fill(&draft)?;
    fs::rename(&draft, &folder)?;
    Ok(folder)
}

fn fill(folder: &Path) -> io::Result<()> {
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, bytes).map(|()| path)
    };
    let welcome = "# Welcome\n\nEdit this text, and see it change in the cloud.\n";
    let welcome = write("Handbook/Welcome.txt", welcome.as_bytes())?;
    // What other programs write as well; where the file system keeps no attributes, the library simply has no title.
    setxattr(&welcome, "user.dublincore.title", b"Welcome to the team", XattrFlags::empty()).ok();
    for (number, rule) in ["Ask early", "Write it down", "Leave it tidier than you found it"].into_iter().enumerate() {
        write(
            &format!("Handbook/Rules/{}. {rule}.txt", number + 1),
            format!("# {rule}\n\nWe do, and are the better for it.\n").as_bytes(),
        )?;
    }
    for (index, project) in PROJECTS.into_iter().enumerate() {
        write(
            &format!("Projects/{project}/Notes.txt"),
            format!("{project}: kick-off held, budget approved, drawings to follow.\n").as_bytes(),
        )?;
        write(&format!("Projects/{project}/Costs.csv"), costs(index).as_bytes())?;
        for photograph in 1..=3_u8 {
            let day = format!("2024:0{}:{:02} 10:{photograph:02}:00", index + 4, photograph * 7);
            write(&format!("Projects/{project}/Photographs/Site visit {photograph}.jpg"), &photo(&day, photograph))?;
        }
    }
    for month in MONTHS {
        write(&format!("Reports/2024/{month}.txt"), format!("Report for {month}\n\nOn time, within budget.\n").as_bytes())?;
    }
    write("Reports/Measurements.log", measurements().as_bytes())?;
    write("Reports/Empty.txt", b"")?;
    Ok(())
}

fn costs(seed: usize) -> String {
    let rows: String = MONTHS.iter().enumerate().map(|(row, month)| format!("{month},{}\n", (seed + 3) * (row + 7) * 1_250)).collect();
    format!("month,cost\n{rows}")
}

fn measurements() -> String {
    // A linear congruence, so that the text does not repeat and is the same everywhere.
    let mut value: u32 = 7;
    let mut line = |number: u32| {
        value = value.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{number:06} sensor-{:02} {:>7.3} kN {:08x}\n", value % 12, f64::from(value >> 12) / 1_000.0, value.rotate_left(13))
    };
    (0..LOG_LINES).map(&mut line).collect()
}

/// A grey picture of 8 by 8 pixels: what follows the first marker of a JPEG file.
const PICTURE: [u8; 147] = [
    0xff, 0xdb, 0x00, 0x43, 0x00, 0x0d, 0x09, 0x0a, 0x0b, 0x0a, 0x08, 0x0d, 0x0b, 0x0a, 0x0b, 0x0e, 0x0e, 0x0d, 0x0f, 0x13, 0x20, 0x15,
    0x13, 0x12, 0x12, 0x13, 0x27, 0x1c, 0x1e, 0x17, 0x20, 0x2e, 0x29, 0x31, 0x30, 0x2e, 0x29, 0x2d, 0x2c, 0x33, 0x3a, 0x4a, 0x3e, 0x33,
    0x36, 0x46, 0x37, 0x2c, 0x2d, 0x40, 0x57, 0x41, 0x46, 0x4c, 0x4e, 0x52, 0x53, 0x52, 0x32, 0x3e, 0x5a, 0x61, 0x5a, 0x50, 0x60, 0x4a,
    0x51, 0x52, 0x4f, 0xff, 0xc0, 0x00, 0x0b, 0x08, 0x00, 0x08, 0x00, 0x08, 0x01, 0x01, 0x11, 0x00, 0xff, 0xc4, 0x00, 0x14, 0x00, 0x01,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0xff, 0xc4, 0x00, 0x18, 0x10, 0x00,
    0x02, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x06, 0x22, 0x32, 0xff, 0xda,
    0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00, 0x36, 0x3e, 0xa7, 0x35, 0x3f, 0xff, 0xd9,
];

/// Makes a photograph: a picture with the EXIF of a camera.
fn photo(day: &str, number: u8) -> Vec<u8> {
    let exif = exif(day, u16::from(number) * 100);
    let length = u16::try_from(exif.len() + 2).unwrap_or(u16::MAX);
    let mut out = vec![0xff, 0xd8, 0xff, 0xe1];
    out.extend(length.to_be_bytes());
    out.extend(exif);
    out.extend(PICTURE);
    out
}

/// An EXIF block: two directories of a TIFF file, and the texts that they point to.
fn exif(day: &str, sensitivity: u16) -> Vec<u8> {
    const ASCII: u16 = 2;
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    let (make, model, day) = ("Skybridge\0", "Made-up camera\0", format!("{day}\0"));
    // Two bytes of count, twelve an entry, four to the next directory.
    let (first, second) = (8_u32, 8 + 2 + 3 * 12 + 4);
    let texts = second + 2 + 4 * 12 + 4;
    let length = |text: &str| u32::try_from(text.len()).unwrap_or(0);
    let (at_make, at_model) = (texts, texts + length(make));
    let at_day = at_model + length(model);
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        // A short value stands in the first two of the four bytes.
        let value = if kind == SHORT { value << 16 } else { value };
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value.to_be_bytes()].concat()
    };
    let mut out = b"Exif\0\0MM\0\x2a".to_vec();
    out.extend(first.to_be_bytes());
    out.extend(3_u16.to_be_bytes());
    out.extend(entry(0x010f, ASCII, length(make), at_make));
    out.extend(entry(0x0110, ASCII, length(model), at_model));
    out.extend(entry(0x8769, LONG, 1, second));
    out.extend(0_u32.to_be_bytes());
    out.extend(4_u16.to_be_bytes());
    out.extend(entry(0x8827, SHORT, 1, u32::from(sensitivity)));
    out.extend(entry(0x9003, ASCII, length(&day), at_day));
    out.extend(entry(0xa002, SHORT, 1, 8));
    out.extend(entry(0xa003, SHORT, 1, 8));
    out.extend(0_u32.to_be_bytes());
    for text in [make, model, &day] {
        out.extend(text.bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photographs_hold_exif_that_others_read() {
        let photo = photo("2024:05:06 07:08:09", 4);
        let exif = exif::Reader::new().read_from_container(&mut io::Cursor::new(photo)).expect("EXIF");
        let shown = |tag| exif.get_field(tag, exif::In::PRIMARY).map(|field| field.display_value().to_string());
        assert_eq!(shown(exif::Tag::Model).as_deref(), Some("\"Made-up camera\""));
        assert_eq!(shown(exif::Tag::DateTimeOriginal).as_deref(), Some("2024-05-06 07:08:09"));
        assert_eq!(shown(exif::Tag::PhotographicSensitivity).as_deref(), Some("400"));
        assert_eq!(shown(exif::Tag::PixelXDimension).as_deref(), Some("8"));
    }

    #[test]
    fn a_library_is_made_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let folder = make(directory.path()).expect("made");
        fs::write(folder.join("Handbook/Welcome.txt"), "mine").expect("edited");
        assert_eq!(make(directory.path()).expect("found"), folder);
        assert_eq!(fs::read_to_string(folder.join("Handbook/Welcome.txt")).expect("read"), "mine");
        assert_eq!(fs::read_dir(directory.path()).expect("listed").count(), 1);
    }
}
