//! Names and doc comments taken from the author's code.

use syn::ext::IdentExt as _;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta};

/// The kebab-case of a variant's name: `EditMessage` becomes `edit-message`.
pub(crate) fn kebab_case(ident: &Ident) -> String {
    let mut kebab = String::new();
    for letter in ident.unraw().to_string().chars() {
        if letter.is_uppercase() {
            if !kebab.is_empty() {
                kebab.push('-');
            }
            kebab.extend(letter.to_lowercase());
        } else {
            kebab.push(if letter == '_' { '-' } else { letter });
        }
    }
    kebab
}

/// The first paragraph of the doc comment on one line; empty when there is none.
pub(crate) fn description(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(doc_line);
    lines
        .map(|line| line.trim().to_owned())
        .skip_while(String::is_empty)
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The text of one `#[doc = ".."]`, which is what `///` becomes.
fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return None;
    };
    if !meta.path.is_ident("doc") {
        return None;
    }
    match &meta.value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// The attributes that the mirrored type takes over: doc comments, `serde` and `schemars`.
pub(crate) fn inherited(attributes: &[Attribute]) -> Vec<&Attribute> {
    attributes
        .iter()
        .filter(|attribute| {
            ["doc", "serde", "schemars", "cfg"]
                .iter()
                .any(|name| attribute.path().is_ident(name))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proc_macro2::Span;
    use syn::parse_quote;

    #[track_caller]
    fn check_kebab(name: &str, expected: &str) {
        assert_eq!(kebab_case(&Ident::new(name, Span::call_site())), expected);
    }

    #[test]
    fn names_of_variants_become_kebab_case() {
        check_kebab("Create", "create");
        check_kebab("EditMessage", "edit-message");
        check_kebab("FindPostsWithLikes", "find-posts-with-likes");
        check_kebab("Find2Posts", "find2-posts");
    }

    #[test]
    fn a_description_is_the_first_paragraph_on_one_line() {
        let attributes: Vec<Attribute> = vec![
            parse_quote!(#[doc = " Writes a post"]),
            parse_quote!(#[doc = " of one author."]),
            parse_quote!(#[doc = ""]),
            parse_quote!(#[doc = " More about it."]),
        ];
        assert_eq!(description(&attributes), "Writes a post of one author.");
    }

    #[test]
    fn without_a_doc_comment_the_description_is_empty() {
        assert_eq!(description(&[parse_quote!(#[serde(default)])]), "");
    }
}
