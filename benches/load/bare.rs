//! The baseline: warp as its documentation shows it, with a handler that parses the same body and answers.

use warp::Filter;

/// Serves on a free port and prints it.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let handler = warp::post()
            .and(warp::path("flashduty"))
            .and(warp::body::json())
            .map(|body: serde_json::Value| warp::reply::json(&body["event_id"]));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        warp::serve(handler).incoming(listener).run().await;
    });
}
