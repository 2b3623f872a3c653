"""Seeds that failed once, with what was wrong in the engine then."""

from __future__ import annotations

KEPT: dict[int, str] = {
    37: "a join that had failed was run again by each further arrival",
    117: "a join failed because a branch that was chosen with it had no row yet",
    153: "the same, with a delayed task",
    283: "a join waited for ever behind a loop",
    253: "a join that was about to fail was not seen as a way to the next one",
    286: "joins were not looked at when a cancelled execution ran again",
    799: "a branch was lost although it was about to arrive after a pause",
    1087: "a task held by a pause was not started by a rerun",
    1579: "a delay that ended under a stopped execution was forgotten by a rerun",
    1830: "a join waited for one that had failed and stays failed",
    2224: "a failed compensation could be run again like a task",
    5744: "a task was run again while its execution was rolled back",
    6343: "the end of a child that ran again was taken before the news that it ran",
    8684: "a child that was stopped while it was rolled back did not tell its parent",
    13784: "a rollback that was stopped and repeated began a compensation twice",
    19136: "a compensation that failed after the rollback was stopped ended the execution again",
    21484: "a child that an operator resumed was not rolled back when its parent asked for it",
    62092: "a join waited for a task of which only the compensation was left",
    93614: "items that ended while their task waited after its end were missing when it went on",
    101679: "an action that nobody looked at after a cancel was not sent after a rerun",
    104342: "the same, without any message",
    204696: "a join ran with the arrival of a task that was running again",
    231332: "what a task chose was lost when a join that failed by its end ended the execution",
    500871: "an old action that was resumed set a task going that had gone on to a new attempt",
    504442: "a join that stays failed was not seen as the last way to another",
    505786: "items that ended after their task were missing when a rerun let it go on",
    507654: "the same, after it had led on before",
    5045156: "the items of a join that had run twice could not be rolled back",
}
