//! What happens to those who are connected when the server stops.

use super::*;

#[tokio::test]
async fn what_is_in_flight_is_finished_and_what_idles_is_closed() {
    let server = Server::start().await;
    let mut idle = server.client().await;
    assert_eq!(idle.ask(push("a")).await.status, 200);
    let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    server.memory.set(Mood::Waits { go_on: Arc::clone(&go_on), waiting: Arc::clone(&waiting) });
    let mut in_flight = server.client().await;
    in_flight.send(push("b")).await;
    waiting.notified().await;

    let address = server.address;
    let memory = server.memory.clone();
    let stopping = tokio::spawn(server.stop());
    idle.closes().await;
    assert!(TcpStream::connect(address).await.is_err(), "nobody new is let in");
    go_on.notify_one();
    let reply = in_flight.reply().await;
    assert_eq!(reply.status, 200);
    assert!(reply.has("connection: close"));
    in_flight.closes().await;
    assert_eq!(stopping.await.unwrap(), Stopped { cut: 0 });
    assert_eq!(memory.count(), 2);
}

#[tokio::test]
async fn draining_ends() {
    let server = Server::start_with(|_| {}, |settings| settings.timeouts.drain = Duration::from_millis(50)).await;
    let (go_on, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    server.memory.set(Mood::Waits { go_on, waiting: Arc::clone(&waiting) });
    let mut stuck = server.client().await;
    stuck.send(push("a")).await;
    waiting.notified().await;
    assert_eq!(server.stop().await, Stopped { cut: 1 });
    stuck.closes().await;
}
