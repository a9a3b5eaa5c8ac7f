//! Hosts for tests that want many of them: few instances each, compiled code shared between them, and shut down at the
//! test's end, so that they do not add up.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use foldhost::Config;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::support::{TestHost, root};

/// A host that ends with its owner.
pub(crate) struct SmallHost(TestHost);

impl Deref for SmallHost {
    type Target = TestHost;

    fn deref(&self) -> &TestHost {
        &self.0
    }
}

impl DerefMut for SmallHost {
    fn deref_mut(&mut self) -> &mut TestHost {
        &mut self.0
    }
}

impl Drop for SmallHost {
    fn drop(&mut self) {
        block_in_place(|| Handle::current().block_on(self.0.host.shutdown()));
    }
}

/// Starts a host with some of the sample plugins.
pub(crate) async fn start(plugins: &[&str]) -> SmallHost {
    start_with(plugins, |_| {}).await
}

/// Starts a host with some of the sample plugins and a configuration that is changed first.
pub(crate) async fn start_with(plugins: &[&str], change: impl FnOnce(&mut Config)) -> SmallHost {
    let host = TestHost::start_with(plugins, |config| {
        config.max_instances = 40;
        share_code(&config.data);
        change(config);
    });
    SmallHost(host.await)
}

/// Components are compiled once for all hosts of all runs; the cache checks what it reads.
fn share_code(data: &Path) {
    let shared = root().join("target").join("test-code");
    std::fs::create_dir_all(&shared).unwrap();
    std::fs::create_dir_all(data).unwrap();
    std::os::unix::fs::symlink(shared, data.join("code")).unwrap();
}
