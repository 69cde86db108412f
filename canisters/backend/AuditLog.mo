/// What admins did: who, when, by which method, with what. Only what was done is noted, not what was refused. Owns the form
/// of an entry; who is an admin is asked before (`Roles`), and the log forgets as every log here does (`BoundedLog`).
import Iter "mo:core/Iter";
import Text "mo:core/Text";
import BoundedLog "BoundedLog";
import CapsuleLimits "../capsule/Limits";
import Types "Types";

module {
  public type Log = BoundedLog.Log<Types.AuditEntry>;

  /// An admin's call: its method, and its arguments as Motoko shows them. They are put into words only when it's known that
  /// the caller is an admin: a number of 250 bytes takes 50 M instructions.
  public type Act = { method : Text; what : () -> Text };

  /// Nothing was done yet.
  public func start() : Log = BoundedLog.empty<Types.AuditEntry>();

  /// Notes that `by` has done it; of long arguments the beginning is kept.
  public func note(log : Log, by : Principal, { method; what } : Act, at : Nat64) {
    let kept = Text.fromIter(what().chars().take(CapsuleLimits.messageChars));
    ignore BoundedLog.append<Types.AuditEntry>(log, func id = { id; at; by; method; what = kept });
  };

  /// Newest first.
  public func page(log : Log, request : Types.NumberedPageRequest) : Types.AuditPage = BoundedLog.page(log, request);
};
