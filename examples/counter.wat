;; A counter, by hand: increment : () -> (nat64), get : () -> (nat64) query. A reply is Candid: DIDL, no types, one nat64.
(module
  (import "ic0" "msg_reply_data_append" (func $append (param i32 i32)))
  (import "ic0" "msg_reply" (func $reply))
  (memory 1)
  (data (i32.const 0) "DIDL\00\01\78")
  (func $answer (call $append (i32.const 0) (i32.const 15)) (call $reply))
  (func (export "canister_update increment")
    (i64.store (i32.const 7) (i64.add (i64.load (i32.const 7)) (i64.const 1)))
    (call $answer))
  (func (export "canister_query get") (call $answer))
  (@custom "icp:public candid:service" "service : { increment : () -> (nat64); get : () -> (nat64) query }"))
