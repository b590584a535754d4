//! What to try next: commands that work as they stand.

use std::path::PathBuf;

/// What the commands are about.
#[derive(Debug)]
pub(super) struct Guide {
    /// The program, as it can be called from the current directory.
    pub(super) program: String,
    /// The sign-in, unless commands find it by themselves.
    pub(super) profile: Option<PathBuf>,
    /// The folder at the source.
    pub(super) folder: PathBuf,
    /// Its copy in the cloud.
    pub(super) target: String,
    /// A document in it, as a path below the folder.
    pub(super) example: Option<String>,
}

impl Guide {
    /// Returns the text.
    pub(super) fn text(&self) -> String {
        let program = quoted(&self.program);
        let mut out = String::from("\nTry, in another terminal in this directory:\n\n");
        let mut line = |command: String, what: &str| {
            out += &format!("  {command}{}\n", if what.is_empty() { String::new() } else { format!("   # {what}") })
        };
        if let Some(profile) = &self.profile {
            line(format!("export SKYBRIDGE_CONFIG={}", quoted(&profile.display().to_string())), "where the sign-in is");
        }
        line(format!("{program} status"), "is everything in step?");
        line(format!("{program} cloud tree {}", quoted(&self.target)), "what is in the cloud");
        if let Some(example) = &self.example {
            let (here, there) = (quoted(&self.folder.join(example).display().to_string()), quoted(&format!("{}/{example}", self.target)));
            line(format!("echo 'one more line' >> {here}"), "change it here …");
            line(format!("{program} cloud versions {there}"), "… and see it there a second later");
            line(format!("date > note.txt && {program} cloud put note.txt {there}"), "change it there …");
            line(format!("cat {here}"), "… and see it here");
            line(format!("{program} versions {here}"), "what was replaced here can be restored");
            line(format!("rm {here}"), "delete it here …");
            let site = self.target.split('/').take(2).collect::<Vec<_>>().join("/");
            line(format!("{program} cloud trash {}", quoted(&site)), "… it is in the trash there …");
            line(format!("{program} cloud restore {there}"), "… and comes back");
        }
        out + "\nCtrl-C ends it; the same command goes on where it was.\n"
    }
}

/// Returns a word as a shell must be given it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        assert_eq!(quoted("a/b-c.txt"), "a/b-c.txt");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted("$(rm)"), "'$(rm)'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn the_guide_names_both_sides() {
        let guide = Guide {
            program: "target/release/skybridge".into(),
            profile: None,
            folder: "skybridge-quickstart/library/Documents".into(),
            target: "quickstart/team/Documents".into(),
            example: Some("Handbook/Welcome.txt".into()),
        };
        let text = guide.text();
        for expected in [
            "target/release/skybridge status ",
            "skybridge cloud versions quickstart/team/Documents/Handbook/Welcome.txt ",
            ">> skybridge-quickstart/library/Documents/Handbook/Welcome.txt ",
            "skybridge cloud trash quickstart/team ",
        ] {
            assert!(text.contains(expected), "{expected:?} in {text}");
        }
        assert!(!text.contains("export"), "commands find the sign-in by themselves: {text}");
    }
}
