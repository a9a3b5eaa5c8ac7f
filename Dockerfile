# The host alone; plugins are mounted, or sent to it. Used by docker-compose.yml.
FROM rust:1.95.0-bookworm AS build
# The image's own toolchain: the components and the target that rust-toolchain.toml adds are for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package foldhost

FROM debian:bookworm-slim
# A new volume takes owner and rights from the folder it is mounted over.
RUN useradd --system --uid 10001 foldhost \
  && install --directory --owner foldhost --mode 0700 /var/lib/foldhost \
  && install --directory /srv/foldhost/plugins
COPY --from=build /source/target/release/foldhost /usr/local/bin/foldhost
USER foldhost
ENV FOLDHOST_DATA=/var/lib/foldhost FOLDHOST_PLUGINS=/srv/foldhost/plugins
WORKDIR /var/lib/foldhost
# The host stops in good order at SIGTERM.
ENTRYPOINT ["foldhost"]
CMD ["serve"]
