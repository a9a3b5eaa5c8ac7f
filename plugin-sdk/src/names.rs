//! Names that people write.

/// Folds a name for comparison: without white space around it, in Unicode lower case.
///
/// `" Ärger "` and `"ÄRGER"` are the same name.
/// The mapping is that of Rust's standard library, without a locale and without normalization:
/// composed and decomposed letters stay apart.
///
/// ```
/// use foldhost_plugin_sdk::fold_name;
///
/// assert_eq!(fold_name(" Ärger "), fold_name("ÄRGER"));
/// ```
pub fn fold_name(name: &str) -> String {
    name.trim().to_lowercase()
}
