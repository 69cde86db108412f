/// What a personal canister costs: to be created, to be filled, and to live until the day that it's funded for. Owns this
/// arithmetic, the prices that it goes by unless an admin sets others, and what settings it takes. Moves no cycles.
///
/// `factory/funding.py` computes the same; `tests/unit/canisters/test_backend_funding.py` compares them. All amounts are
/// cycles, all times seconds unless a name says otherwise.
import Char "mo:core/Char";
import Iter "mo:core/Iter";
import Nat "mo:core/Nat";
import Nat64 "mo:core/Nat64";
import Errors "Errors";
import Types "Types";

module {
  /// The label of prices that fit any network.
  public let anyNetwork = "any";

  /// The dearest known, of 13 nodes: what pays for a canister here pays for it anywhere. An installation must be able to
  /// take 300 G instructions of a 32-bit module, and takes a tenth of that with a small import; a byte costs 2,000 by
  /// ingress, and some 400 to process.
  public let defaultPrices : Types.PriceTable = {
    network = anyNetwork;
    creation = 500_000_000_000;
    installation = 300_000_000_000;
    import_base = 30_000_000_000;
    import_byte = 2_500;
    idle_second = 10_000;
    gib_second = 317_500;
  };
  public let defaultFundedDays = 365;
  /// A hundred years, of freezing threshold and funded days together.
  public let mostDays = 36_525;
  public let daySeconds = 86_400;

  /// Of a canister without contents: its memory and its module.
  public let emptyCanisterBytes = 24_000_000;
  /// What a canister must have above its freezing threshold to take an update that calls another canister, as a new memory
  /// needs: the network sets aside the price of 40 G instructions, and of an answer of 2 MiB.
  public let messageCycles = 82_200_000_000;
  let gib = 1_073_741_824;
  let networkChars = 64;

  /// What a canister of `bytes` in all burns idle in so many seconds.
  public func idle(prices : Types.PriceTable, bytes : Nat, seconds : Nat) : Nat {
    seconds * (prices.idle_second * gib + prices.gib_second * bytes) / gib;
  };

  /// How many bytes a canister with such contents takes: a tenth more for what is around them, and what an empty one has.
  public func canisterBytes(contentBytes : Nat) : Nat = contentBytes * 11 / 10 + emptyCanisterBytes;

  /// The two parts of what a creation takes: `first` is attached to `create_canister`, and lets the canister be installed,
  /// filled and not frozen then; `rest` lets it live for the funded days, and follows at the completion.
  public type Parts = { first : Nat; rest : Nat };

  /// For contents of so many bytes.
  public func parts(reserve : Types.ReserveSettings, canisters : Types.PersonalCanisterSettings, contentBytes : Nat) : Parts {
    let { prices } = reserve;
    let bytes = canisterBytes(contentBytes);
    let made = prices.creation + prices.import_byte * contentBytes;
    let first = made + prices.installation + idle(prices, bytes, canisters.freezing_threshold);
    let needed = made + prices.import_base + life(reserve, canisters, idle(prices, bytes, daySeconds));
    { first; rest = (Nat.max(needed, first) - first : Nat) };
  };

  /// The balance with which a canister that burns so much a day takes updates for all the funded days.
  public func life(reserve : Types.ReserveSettings, canisters : Types.PersonalCanisterSettings, burnedPerDay : Nat) : Nat {
    let seconds = reserve.funded_days * daySeconds + canisters.freezing_threshold;
    burnedPerDay * seconds / daySeconds + messageCycles;
  };

  /// What it burns from one time to a later one, in nanoseconds since 1970.
  public func burned(burnedPerDay : Nat, from : Nat64, until : Nat64) : Nat {
    burnedPerDay * Nat64.toNat(Nat64.max(from, until) - from) / (daySeconds * 1_000_000_000);
  };

  /// Until when a canister with this balance takes updates, in nanoseconds since 1970: null when it burns nothing.
  public func paidUntil(balance : Nat, burnedPerDay : Nat, freezingThreshold : Nat, now : Nat64) : ?Nat64 {
    if (burnedPerDay == 0) return null;
    let kept = burnedPerDay * freezingThreshold / daySeconds + messageCycles;
    let seconds = (Nat.max(balance, kept) - kept : Nat) * daySeconds / burnedPerDay;
    ?Nat64.fromNat(Nat.min(Nat64.toNat(now) + seconds * 1_000_000_000, lastNs));
  };

  /// As late as a date can be.
  let lastNs = 9_223_372_036_854_775_807;

  /// Null when creations can be funded by these settings.
  public func check(reserve : Types.ReserveSettings) : ?Types.CreationError {
    let { prices } = reserve;
    let { network } = prices;
    if (network == "" or network.size() > networkChars or not Iter.all(network.chars(), isAllowedInLabel)) {
      return ?Errors.invalid(
        "prices.network takes 1 to " # Nat.toText(networkChars) # " lower-case letters, digits, '-' and '.'."
      );
    };
    let wanted = [
      ("creation", prices.creation),
      ("installation", prices.installation),
      ("import_byte", prices.import_byte),
      ("gib_second", prices.gib_second),
    ];
    for ((name, price) in wanted.values()) {
      if (price == 0) return ?Errors.invalid("prices." # name # " is 0, and no network gives that away.");
    };
    null;
  };

  /// Null when a canister can be funded for so long.
  public func checkDays(reserve : Types.ReserveSettings, canisters : Types.PersonalCanisterSettings) : ?Types.CreationError {
    let seconds = reserve.funded_days * daySeconds + canisters.freezing_threshold;
    if (seconds <= mostDays * daySeconds) return null;
    ?Errors.invalid(
      "funded_days is " # Nat.toText(reserve.funded_days) # ", and freezing_threshold " # Nat.toText(canisters.freezing_threshold)
      # " seconds; together they may be " # Nat.toText(mostDays) # " days at most."
    );
  };

  /// Null when prices may take the place of others: not those of one network the place of another's.
  public func checkNetwork(before : Types.PriceTable, after : Types.PriceTable) : ?Types.CreationError {
    if (before.network == anyNetwork or after.network == anyNetwork or before.network == after.network) return null;
    ?Errors.invalid(
      "The prices are of the network " # after.network # ", and this backend goes by those of " # before.network
      # ". To change the network, set the prices of '" # anyNetwork # "' first."
    );
  };

  func isAllowedInLabel(c : Char) : Bool = (c >= 'a' and c <= 'z') or Char.isDigit(c) or c == '-' or c == '.';
};
