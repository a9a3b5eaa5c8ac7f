//! Progress bars, drawn on stderr where that is a terminal and nowhere else.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All bars of the process, so that whatever is printed meanwhile stands above them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
/// How often a bar moves by itself.
const TICK: Duration = Duration::from_millis(120);

/// Starts a bar over so many steps; `template` is indicatif's.
pub(super) fn bar(steps: u64, template: &str) -> ProgressBar {
    started(ProgressBar::new(steps), template)
}

/// Starts a bar for work whose size is not known.
pub(super) fn spinner(template: &str) -> ProgressBar {
    started(ProgressBar::new_spinner(), template)
}

/// Prints while no bar is drawn.
pub(super) fn beside<R>(print: impl FnOnce() -> R) -> R {
    BARS.suspend(print)
}

fn started(bar: ProgressBar, template: &str) -> ProgressBar {
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = BARS.add(bar);
    bar.set_style(style);
    bar.enable_steady_tick(TICK);
    bar
}

/// Gives a bar its last word and takes it away.
pub(super) fn finish(bar: &ProgressBar, word: impl Into<Cow<'static, str>>) {
    bar.set_message(word);
    bar.finish_and_clear();
    BARS.remove(bar);
}
