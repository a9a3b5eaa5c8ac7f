//! What a new plugin and the things in it are called.

use foldhost::message::AggregateName;

use crate::cli::failure::Usage;

/// Names that mean something else in the code that is written, or to cargo.
const TAKEN: [&str; 27] = [
    "aggregate",
    "alloc",
    "box",
    "command",
    "context",
    "copy",
    "core",
    "default",
    "document",
    "documents",
    "envelope",
    "event",
    "failure",
    "filter",
    "find",
    "foldhost",
    "json",
    "option",
    "projection",
    "query",
    "rejection",
    "result",
    "std",
    "string",
    "test",
    "time",
    "vec",
];
/// The words of Rust.
const KEYWORDS: [&str; 49] = [
    "abstract", "as", "async", "await", "become", "break", "const", "continue", "crate", "do",
    "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
    "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "where", "while", "yield",
];
/// The longest name of a plugin.
const LONGEST: usize = 64;

/// One name in all its forms.
#[derive(Debug)]
pub(super) struct Names {
    /// As it was given: the package, the plugin, the projection and its collection.
    pub(super) name: String,
    /// As Rust names the crate.
    pub(super) crate_name: String,
    /// As an aggregate is named, which holds no dash.
    pub(super) aggregate: String,
    /// The aggregate that a projection reads.
    pub(super) of: String,
}

impl Names {
    /// Derives all forms.
    pub(super) fn of(name: &str, of: &str) -> Result<Self, Usage> {
        let wrong = |reason: &str| {
            Err(Usage(format!(
                "{name:?} cannot be a plugin's name: {reason}"
            )))
        };
        let first = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !first || !name.chars().all(plain) || name.len() > LONGEST {
            return wrong(
                "it is a lower-case letter, then lower-case letters, digits, _ or -, 64 at most",
            );
        }
        if TAKEN.contains(&name) || KEYWORDS.contains(&name) {
            return wrong("it is a word of Rust or of the SDK");
        }
        AggregateName::parse(of).map_err(|error| Usage(format!("--of: {error}")))?;
        let snake = name.replace('-', "_");
        Ok(Self {
            name: name.to_owned(),
            crate_name: snake.clone(),
            aggregate: snake,
            of: of.to_owned(),
        })
    }

    /// Puts the names into a template.
    pub(super) fn fill(&self, template: &str) -> String {
        let (kind, of) = (camel(&self.name), camel(&self.of));
        template
            .replace("{{name}}", &self.name)
            .replace("{{crate}}", &self.crate_name)
            .replace("{{aggregate}}", &self.aggregate)
            .replace(
                "{{words}}",
                &format!("one {}", self.name.replace(['-', '_'], " ")),
            )
            .replace("{{query}}", &kebab(&kind))
            .replace("{{of}}", &self.of)
            .replace("{{Of}}", &of)
            .replace("{{Type}}", &kind)
    }
}

/// Makes a Rust type's name: `my-counter` becomes `MyCounter`.
fn camel(name: &str) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        letters
            .next()
            .map(|first| first.to_ascii_uppercase())
            .into_iter()
            .chain(letters)
            .collect::<String>()
    };
    name.split(['-', '_']).map(part).collect()
}

/// Makes what the SDK makes of a variant's name: `MyCounter` becomes `my-counter`.
fn kebab(kind: &str) -> String {
    let mut kebab = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_all_the_forms_it_needs() {
        let names = Names::of("my-counter_2", "permit").unwrap();
        let filled =
            names.fill("{{name}} {{crate}} {{aggregate}} {{Type}}Event {{query}} {{of}} {{Of}}");
        assert_eq!(
            filled,
            "my-counter_2 my_counter_2 my_counter_2 MyCounter2Event my-counter2 permit Permit"
        );
    }

    #[test]
    fn a_name_that_would_not_compile_is_refused() {
        for name in ["", "A", "1a", "a b", "event", "match", "std", "ä", "../x"] {
            assert!(Names::of(name, "counter").is_err(), "{name}");
        }
        assert!(Names::of("totals", "no-dash").is_err());
    }
}
