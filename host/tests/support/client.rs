//! A small HTTP client that shows status and body together.

use std::net::SocketAddr;

use serde_json::Value;

/// Sends requests to one host.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// What a host answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The position of an accepted command.
    #[track_caller]
    pub(crate) fn position(&self) -> u64 {
        self.body["position"]
            .as_u64()
            .unwrap_or_else(|| panic!("no position in {self:?}"))
    }

    /// The code of a problem.
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// Fails unless the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl Client {
    pub(crate) fn local(port: u16) -> Self {
        Self::new(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    /// A client of a host at an address.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client can be made");
        Self {
            http,
            base: format!("http://{address}"),
        }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Sends a command; panics when there is no answer.
    pub(crate) async fn command(
        &self,
        aggregate: &str,
        id: &str,
        command: &str,
        payload: Value,
    ) -> Answer {
        self.command_with(aggregate, id, command, payload, &[])
            .await
    }

    /// Sends a command with headers.
    pub(crate) async fn command_with(
        &self,
        aggregate: &str,
        id: &str,
        command: &str,
        payload: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_command(aggregate, id, command, payload, headers)
            .await
            .expect("the host answers")
    }

    /// Sends a command to a host that may be gone.
    pub(crate) async fn try_command(
        &self,
        aggregate: &str,
        id: &str,
        command: &str,
        payload: Value,
        headers: &[(&str, &str)],
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .http
            .post(format!(
                "{}/v1/commands/{aggregate}/{id}/{command}",
                self.base
            ))
            .json(&payload);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.expect("the host answers")
    }

    pub(crate) async fn try_get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        answer(self.http.get(format!("{}{path}", self.base))).await
    }

    pub(crate) async fn put(&self, path: &str, body: Vec<u8>) -> Answer {
        answer(self.http.put(format!("{}{path}", self.base)).body(body))
            .await
            .expect("the host answers")
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.http.post(format!("{}{path}", self.base)).json(&body))
            .await
            .expect("the host answers")
    }

    /// Waits until a list that waits for a position can be read: a slow read store may need more than the longest wait
    /// that a request may ask for.
    pub(crate) async fn reached(&self, path: &str) {
        for _ in 0..10 {
            if self.get(path).await.status != 504 {
                return;
            }
        }
    }

    /// Walks a list to its end and gives all items.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .get(&format!("{path}{join}limit=1000{cursor}"))
                .await
                .expect(200);
            items.extend(
                page.body["items"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .cloned(),
            );
            match page.body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer {
        status,
        headers,
        body,
    })
}
