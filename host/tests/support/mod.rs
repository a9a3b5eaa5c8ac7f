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
mod example;
mod host_process;
mod missing;
mod own_servers;
mod profile;
mod sender;
mod test_host;

pub(crate) use client::{Answer, Client};
pub(crate) use components::{component, components, plugins_folder, root};
pub(crate) use eventually::eventually;
pub(crate) use example::Example;
pub(crate) use host_process::{HostProcess, free_port};
pub(crate) use missing::missing;
pub(crate) use own_servers::OwnServers;
pub(crate) use profile::{Profile, Servers};
pub(crate) use sender::Sender;
pub(crate) use test_host::{Folder, TestHost};
