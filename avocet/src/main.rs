//! The program `avocet`.

use std::ops::ControlFlow;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let job =
        avocet::Job::from_json(&std::fs::read_to_string(&a[1]).unwrap(), avocet::Door::Program)
            .unwrap();
    let engine = avocet::Engine::default();
    let plan = avocet::plan(&engine, &job, a[2].as_str(), &avocet::CancelToken::new());
    match plan {
        Ok(p) => {
            println!("{p}");
            match engine.run(&p, &avocet::CancelToken::new(), |p| {
                println!("{p:?}");
                ControlFlow::Continue(())
            }) {
                Ok(r) => println!("{:?}\n{:?}", r.warnings, r.stats),
                Err(e) => println!("FAILED {e}"),
            }
        }
        Err(e) => println!("PLAN FAILED {} {e}", e.code()),
    }
}
