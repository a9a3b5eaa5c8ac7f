//! What tests share: the sample components, hosts in this process and in others, and waiting for what must happen.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(unused_imports, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod client;
mod components;
mod eventually;
mod host_process;
mod missing;
mod sender;
mod test_host;

pub use client::{Answer, Client};
pub use components::{component, components, plugins_folder, root};
pub use eventually::eventually;
pub use host_process::{HostProcess, free_port};
pub use missing::missing;
pub use sender::Sender;
pub use test_host::{Folder, TestHost};
