//! A server with the default limits, to be attacked by hand until its standard input ends:
//! `serve 127.0.0.1:9469`. It shows `/metrics` (50 KB) and takes a body at `/hook` from those who
//! sign it.

use std::error::Error;
use std::io::Read as _;
use std::net::TcpListener;

use roundsman_net::{
    Answer, Bytes, Handler, Head, Limits, Listener, Request, Response, Server, StatusCode, answer,
};

struct Pages(Bytes);

impl Handler for Pages {
    fn admit(&self, head: &Head) -> Result<(), Response> {
        let unsigned = head.path() == "/hook" && !head.headers.contains_key("x-signature");
        if unsigned {
            return Err(Response::text(StatusCode::UNAUTHORIZED, "not signed\n"));
        }
        Ok(())
    }

    fn answer(&self, request: Request) -> Answer {
        answer(match request.head.path() {
            "/metrics" => Response::text(StatusCode::OK, self.0.clone()),
            "/hook" => Response::text(StatusCode::ACCEPTED, request.body.len().to_string()),
            _ => Response::not_found(),
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("serve ADDRESS")?;
    let page = "node_example_total 1\n".repeat(2_400);
    let server = Server::builder(Limits::default())
        .listen(Listener::tcp(TcpListener::bind(address)?))
        .spawn(Pages(page.into()))?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:#?}", server.stats());
    server.stop();
    Ok(())
}
