//! Text for people: aligned tables, sizes, times, and names that cannot play tricks on a terminal.

use unicode_width::UnicodeWidthStr as _;

/// Returns a text with its control characters escaped, so that a name from outside cannot move the cursor or forge a line.
///
/// The marks that turn the direction of writing are escaped as well: they make `gpj.exe` look like `exe.jpg`.
pub(crate) fn printable(text: &str) -> String {
    let hidden = |c: char| c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Returns a length in bytes for people: `1.50 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// Returns a limit in bytes for people; 0 is none.
pub(crate) fn limit(bytes: u64) -> String {
    if bytes == 0 { "none".to_owned() } else { size(bytes) }
}

/// Returns a time in UTC: `2031-05-04 13:37:00Z`; `-` when it is not set.
pub(crate) fn time(timestamp: Option<&prost_types::Timestamp>) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z");
    timestamp
        .and_then(|timestamp| time::OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok())
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "-".to_owned())
}

/// Returns a remark as a sentence: a capital first, a full stop last.
pub(crate) fn sentence(remark: &str) -> String {
    let mut chars = remark.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    let end = if remark.ends_with(['.', '!', '?']) { "" } else { "." };
    first.chain(chars).chain(end.chars()).collect()
}

/// Returns `yes` or `no`.
pub(crate) const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

/// Returns a count with its noun: `1 item`, `2 items`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Rows in columns as wide as their widest cell. A heading that begins with `>` stands over numbers, to the right.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, bool)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table without rows.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let columns = headings.iter().map(|heading| heading.strip_prefix('>').map_or((*heading, false), |rest| (rest, true))).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row; cells are made [`printable`].
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    /// Returns the table as text, with a line break after each row; without rows, only `nothing`.
    pub(crate) fn render_or(&self, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{nothing}\n");
        }
        let heading: Vec<String> = self.columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| std::iter::once(&heading).chain(&self.rows).map(|row| row[column].width()).max().unwrap_or(0))
            .collect();
        let mut out = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, right)), width) in row.iter().zip(&self.columns).zip(&widths) {
                let padding = " ".repeat(width - cell.width());
                let (before, after) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
                line += &format!("{before}{cell}{after}  ");
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }
}

/// Reads a size such as `500M`, `1.5GiB` or `0`; K, M, G and T are powers of 1,024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        unit => return Err(format!("{unit:?} is not a unit; use K, M, G or T")),
    };
    if let Ok(number) = digits.parse::<u64>() {
        return number.checked_mul(1 << shift).ok_or_else(|| "too large".to_owned());
    }
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok((number * (1_u64 << shift) as f64) as u64),
        _ => Err(format!("{text:?} is not a size, such as 500M")),
    }
}

/// Reads a span such as `90d`, `12h`, `30m` or `45s`.
pub(crate) fn parse_span(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86400,
        _ => return Err(format!("{text:?} is not a span, such as 90d, 12h, 30m or 45s")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is not a span, such as 90d"))?;
    number.checked_mul(unit).map(std::time::Duration::from_secs).ok_or_else(|| "too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_n06_names_cannot_play_tricks_on_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(printable("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        assert_eq!(printable("Größe 図"), "Größe 図");
    }

    #[test]
    fn a_remark_becomes_a_sentence() {
        assert_eq!(sentence("rename it"), "Rename it.");
        assert_eq!(sentence("It is a symbolic link."), "It is a symbolic link.");
    }

    #[test]
    fn columns_align_by_what_a_terminal_shows() {
        let mut table = Table::new(&["NAME", ">SIZE"]);
        table.row(["図".into(), "1".into()]);
        table.row(["abc".into(), "200".into()]);
        assert_eq!(table.render_or("nothing"), "NAME  SIZE\n図       1\nabc    200\n");
        assert_eq!(Table::new(&["NAME"]).render_or("nothing here"), "nothing here\n");
    }

    #[test]
    fn sizes_and_spans_are_read_or_refused() {
        assert_eq!(parse_size("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(parse_size("7"), Ok(7));
        assert!(parse_size("7 apples").is_err() && parse_size("-1").is_err() && parse_size("99999999T").is_err());
        assert_eq!(parse_span("2h"), Ok(std::time::Duration::from_secs(7200)));
        assert!(parse_span("2").is_err() && parse_span("99999999999999999999d").is_err() && parse_span("Ünd").is_err());
    }
}
