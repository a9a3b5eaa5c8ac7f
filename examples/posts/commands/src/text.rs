//! People, messages and ids.

use crate::random::Random;

/// People with the spellings they use, the most active first.
///
/// The spellings of one person differ by case, or by white space around them; no two people have one in common.
/// Look-alikes are in the list on purpose: who merges them, or splits the spellings of one, gets the authors wrong.
const PEOPLE: &[&[&str]] = &[
    &["Anna", "anna", "ANNA", "aNNa"],
    &["Bert Janssen", "bert janssen", "BERT JANSSEN"],
    // The capital sharp s is ß in lower case; ss is somebody else.
    &["Groß", "GROẞ", "groß"],
    &["Gross", "GROSS"],
    &["Chidi", "CHIDI"],
    // The dotted capital I is an i with a combining dot in lower case; the other three are one or two other people.
    &["İrem", "i\u{307}rem"],
    &["Irem", "irem", "IREM"],
    &["ırem"],
    // A sigma at the end of a word has a lower case of its own.
    &["Νίκος", "ΝΊΚΟΣ", "νίκος"],
    &["Dewi", "dewi"],
    // Composed and decomposed accents look the same.
    &["Jos\u{e9}", "JOS\u{c9}"],
    &["Jose\u{301}", "JOSE\u{301}"],
    // The Angstrom and Kelvin signs are letters in lower case.
    &["\u{c5}sa", "\u{212b}sa", "\u{e5}sa"],
    &["Karl", "\u{212a}arl", "karl"],
    // One letter in three cases.
    &["\u{1c4}ordje", "\u{1c5}ordje", "\u{1c6}ordje"],
    // Letters beyond 16 bits that have cases.
    &["\u{10414}\u{1042f}\u{1043a}", "\u{1043c}\u{1042f}\u{1043a}"],
    &["ليلى"],
    &["שרה"],
    &["王小明"],
    &["अनुष्का"],
    &["🦊 Fox", "🦊 FOX"],
    &["👩\u{200d}🚀 Ada", "👩\u{200d}🚀 ADA"],
    &["O'Neil \"Shaq\"", "o'neil \"shaq\""],
    &["a.b$c", "A.B$C"],
    &["back\\slash/50%", "BACK\\SLASH/50%"],
    &["x", "X"],
    &["Elif", "ELIF"],
    &["Fatou Diop", "fatou diop"],
    &["Grace", "GRACE"],
    &["Hiro", "hiro", "HIRO"],
    &["Ingrid", "ingrid"],
    &["Joost van den Heuvel", "joost VAN DEN heuvel"],
    &["Kofi", "KOFI"],
    // White space around a name is none of it.
    &["Lena", "LENA", " lena", "Lena\u{3000}"],
    &["Mateo", "mateo"],
    &["Nia", "NIA"],
    &["Oskar", "oskar"],
    &["Priya", "PRIYA"],
    &["Quentin", "quentin"],
    &["Rosa", "ROSA", "rosa"],
];

/// How many people there are.
pub(crate) const HOW_MANY_PEOPLE: usize = PEOPLE.len();

/// A spelling of this person's name.
pub(crate) fn name(random: &mut Random, person: usize) -> &'static str {
    random.pick(PEOPLE[person])
}

/// Text without anything in it, as `char::is_whitespace` has it.
pub(crate) fn blank(random: &mut Random) -> &'static str {
    random.pick(&["", " ", "\t\n", "\u{a0}", "\u{3000}\u{2003}"])
}

/// What messages are made of.
const WORDS: &[&str] = &[
    "rain",
    "again",
    "Kaffee",
    "und",
    "dålig",
    "wifi",
    "naïve",
    "nai\u{308}ve",
    "👨\u{200d}👩\u{200d}👧\u{200d}👦",
    "🇳🇱",
    "👍🏽",
    "مرحبا",
    "שלום",
    "\u{202e}backwards\u{202c}",
    "日本語",
    "ひらがな",
    "Straße",
    "ﬁne",
    "Ω≈ç√",
    "zalgo\u{334}\u{35d}\u{321}",
    "\"quoted\"",
    "it's",
    "C:\\temp\\new",
    "</script>",
    "{\"a\": [1]}",
    "50%20",
    "$set",
    "line\nbreak",
    "tab\there",
    "\u{2028}",
    "\u{feff}",
    "\u{1}",
    "\u{10ffff}",
    "2026-11-23T09:30:00Z",
    "1e400",
    "null",
];

/// A message of one to a dozen words; now and then one that looks blank and is not, or a very long one.
pub(crate) fn message(random: &mut Random) -> String {
    match random.below(200) {
        // A space without width is no white space.
        0 => "\u{200b}".to_owned(),
        1 => format!("  {}  ", random.pick(WORDS)),
        2 => "long 🐍 ".repeat(400),
        _ => {
            let words: Vec<&str> = (0..=random.below(12)).map(|_| random.pick(WORDS)).collect();
            let message = words.join(" ");
            // All words may have been white space.
            if message.trim().is_empty() {
                "rain".to_owned()
            } else {
                message
            }
        }
    }
}

/// The id of the post that comes at this place; some have to be escaped in a URL.
pub(crate) fn post_id(number: usize) -> String {
    match number % 25 {
        7 => format!("póst {number}"),
        12 => format!("日本-🎌-{number}"),
        17 => format!("a/b?c=d&e#f%20+{number}"),
        22 => format!("O'Neil;\"{number}\"\\"),
        _ => format!("p{number}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_spellings_of_a_person_are_one_name_in_lower_case_and_nobody_elses() {
        let mut owners = BTreeMap::new();
        for (person, spellings) in PEOPLE.iter().enumerate() {
            for spelling in *spellings {
                let owner = *owners
                    .entry(spelling.trim().to_lowercase())
                    .or_insert(person);
                assert_eq!(owner, person, "{spelling}");
            }
        }
        assert_eq!(owners.len(), PEOPLE.len());
    }

    #[test]
    fn ids_are_short_and_without_control_characters() {
        for number in 0..1000 {
            let id = post_id(number);
            assert!(id.len() <= 200 && !id.chars().any(char::is_control), "{id}");
        }
    }
}
