//! Whoever uses what was signed: sends what a browser would, and nothing of the SDK's.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    multipart::{Form, Part},
};
use store::contract::blobs::Browser;

pub(crate) struct Sender(pub(crate) Client);

impl Sender {
    pub(crate) fn new() -> Self {
        let client = Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build();
        Self(client.unwrap())
    }

    /// Sends a form as a browser does, its file last; `Err` when the connection was cut.
    pub(crate) async fn form(
        &self,
        url: &str,
        fields: &[(String, String)],
        file: Option<Bytes>,
    ) -> Result<StatusCode, reqwest::Error> {
        let mut form = Form::new();
        for (name, value) in fields {
            form = form.text(name.clone(), value.clone());
        }
        if let Some(file) = file {
            let part = Part::stream_with_length(file.clone(), file.len() as u64);
            let part = part
                .file_name("picked.bin")
                .mime_str("application/x-picked");
            form = form.part("file", part.unwrap());
        }
        let sent = self.0.post(url).multipart(form).send().await?;
        Ok(sent.status())
    }

    fn request(&self, method: Method, url: &str, headers: &[(String, String)]) -> RequestBuilder {
        let request = self.0.request(method, url);
        let headers = headers.iter();
        headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }
}

#[async_trait]
impl Browser for Sender {
    async fn post_form(&self, url: &str, fields: &[(String, String)], file: Bytes) -> u16 {
        let status = self.form(url, fields, Some(file)).await;
        status.expect("small forms are answered").as_u16()
    }

    async fn put(&self, url: &str, headers: &[(String, String)], body: Bytes) -> u16 {
        let request = self.request(Method::PUT, url, headers).body(body);
        request
            .send()
            .await
            .expect("a PUT is answered")
            .status()
            .as_u16()
    }

    async fn get(&self, url: &str, headers: &[(String, String)]) -> (u16, Bytes) {
        let request = self.request(Method::GET, url, headers);
        let answer = request.send().await.expect("a GET is answered");
        (answer.status().as_u16(), answer.bytes().await.unwrap())
    }
}
