//! Trying again by time.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_due_is_tried_again_although_the_bell_rings_all_the_time() {
    let mut bench = Bench::new(SetShape::Documents).await;
    bench.synced(node(1), state(Kind::Document, None, "a"), 1).await;
    bench.plan().await;
    bench.edit(node(1), |row| row.status.retry_millis = Some(1)).await;
    let cancel = CancellationToken::new();
    let ringing = async {
        for _ in 0..50 {
            bench.context.planner.notify_one();
            tokio::time::sleep(RETRY_TICK / 5).await;
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(run(bench.context.clone(), bench.outlets.clone(), cancel.clone()), ringing);
    ended.unwrap();
    assert_eq!(bench.row(node(1)).unwrap().status.retry_millis, None);
}
