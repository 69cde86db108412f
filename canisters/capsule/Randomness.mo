/// Random bytes of the management canister, which nobody can know before they are drawn (IC interface specification,
/// "IC method raw_rand"). Owns the call; what the bytes are for is the caller's.
import Error "mo:core/Error";
import Types "Types";

module {
  type Management = actor { raw_rand : shared () -> async Blob };

  /// 32 bytes. Other messages may come in between; a rejected call is an error that passes.
  public func draw() : async* Types.Result<Blob> {
    let management : Management = actor "aaaaa-aa";
    try #Ok(await management.raw_rand()) catch error #Err(
      #Locked { reason = "the canister got no randomness; try again: " # Error.message(error); until = null }
    );
  };
};
