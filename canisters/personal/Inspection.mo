/// Refuses at the door, before a message costs anything, what its method would refuse anyway: arguments larger than
/// any that it takes, and callers who have nothing to do with this canister. Never the only guard, since calls by
/// canisters don't pass here. Looks at no argument but its size, and at the state by key only, so that it stays cheap.
///
/// Queries are for everyone as queries, which cost nothing. As updates, for a certified answer, they are taken from
/// the capsule's people and connections, and from controllers; executors have the events alone.
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Access "../capsule/Access";
import ArgumentLimits "../capsule/ArgumentLimits";
import Store "../capsule/Store";
import ImportState "ImportState";
import Ownership "Ownership";

module {
  /// Every method of the personal canister; the compiler asks for all of them.
  public type Message = {
    // controllers
    #begin_import : Any; #finalize_import : Any; #audit_contents : Any;
    // controllers (not the owner while an operator is one), until the canister is open
    #put_memory_chunk : Any; #put_memory_chunks : Any; #put_items : Any; #commit_memory : Any; #commit_memories : Any;
    #remove_items : Any; #import_batch : Any;
    // the owner, and who may write the capsule
    #register : Any; #register_with_nonce : Any; #prove_nonce : Any; #mark_bound : Any; #create_capsule : Any;
    #register_capsule : Any; #revoke_capsule_event : Any; #add_executor : Any; #remove_executor : Any;
    #set_event_wait : Any; #add_memory_to_capsule : Any; #update_memory_in_capsule : Any;
    #delete_memory_from_capsule : Any; #begin_memory_upload : Any; #commit_memory_upload : Any;
    #abort_memory_upload : Any; #add_connection : Any; #update_connection_status : Any; #remove_connection : Any;
    #create_connection_group : Any; #update_connection_group : Any; #delete_connection_group : Any;
    #store_gallery_forever : Any; #update_gallery : Any; #delete_gallery : Any;
    // they, and the executors whom the owner named
    #record_capsule_event : Any;
    // of them those with an upload in progress; in small all of them, for the reason why not
    #put_memory_upload_chunk : Any;
    // queries
    #get_import_status : Any; #list_import_entries : Any; #get_manifest : Any; #get_personal_info : Any;
    #verify_nonce : Any; #whoami : Any; #get_user : Any; #list_users : Any; #get_capsule : Any; #get_capsule_info : Any;
    #list_my_capsules : Any; #get_memory_from_capsule : Any; #list_capsule_memories : Any; #read_memory_chunk : Any;
    #get_memory_upload : Any; #list_connections : Any; #list_connection_groups : Any; #get_my_galleries : Any;
    #get_user_galleries : Any; #get_gallery_by_id : Any; #get_api_version : Any; #get_my_quota : Any;
    #get_event_rules : Any;
    // the owner
    #close_for_undo : Any;
    // queries of the owner
    #get_items : Any; #get_memory_manifests : Any;
    // a query of executors, too
    #list_capsule_events : Any;
    // the owner, and who may write the capsule: an update that asks the network
    #get_history : Any;
    // the owner; and to whom the owner offers the canister
    #offer_ownership : Any; #remove_owner : Any; #accept_ownership : Any;
    // the owner
    #change_backend : Any;
  };

  /// Whether the message, with arguments of so many bytes, may enter the canister.
  public func accepts(
    title : Ownership.Title,
    state : ImportState.State,
    isOpen : Bool,
    store : Store.Store,
    caller : Principal,
    bytes : Nat,
    message : Message,
  ) : Bool {
    if (caller.isAnonymous() or bytes > ArgumentLimits.most(message)) return false;

    let owner = title.owner;
    func isTheirs() : Bool = caller == owner or Access.mayWrite(state.capsule, caller);
    func isCircle() : Bool = caller == owner or Access.knows(state.capsule, caller) or caller.isController();
    switch message {
      case (#begin_import _ or #finalize_import _ or #audit_contents _) caller.isController();
      case (
        #put_memory_chunk _ or #put_memory_chunks _ or #put_items _ or #commit_memory _ or #commit_memories _ or
        #remove_items _ or #import_batch _
      ) caller.isController() and not isOpen and (caller != owner or not ImportState.isOperated(state));
      case (
        #register _ or #register_with_nonce _ or #prove_nonce _ or #mark_bound _ or #create_capsule _ or
        #register_capsule _ or #revoke_capsule_event _ or #add_executor _ or #remove_executor _ or
        #set_event_wait _ or #add_memory_to_capsule _ or #update_memory_in_capsule _ or
        #delete_memory_from_capsule _ or #begin_memory_upload _ or #commit_memory_upload _ or
        #abort_memory_upload _ or #add_connection _ or #update_connection_status _ or #remove_connection _ or
        #create_connection_group _ or #update_connection_group _ or #delete_connection_group _ or
        #store_gallery_forever _ or #update_gallery _ or #delete_gallery _ or #get_history _
      ) isTheirs();
      case (
        #get_items _ or #get_memory_manifests _ or #close_for_undo _ or #offer_ownership _ or #remove_owner _ or
        #change_backend _
      ) caller == owner;
      case (#accept_ownership _) caller == owner or title.heir == ?caller;
      case (#record_capsule_event _) isTheirs() or Access.isExecutor(state.capsule, caller);
      case (#put_memory_upload_chunk _) store.uploads_of.containsKey(caller) or
      (bytes <= ArgumentLimits.small and isTheirs());
      case (
        #get_import_status _ or #list_import_entries _ or #get_manifest _ or #get_personal_info _ or
        #verify_nonce _ or #whoami _ or #get_user _ or #list_users _ or #get_capsule _ or #get_capsule_info _ or
        #list_my_capsules _ or #get_memory_from_capsule _ or #list_capsule_memories _ or #read_memory_chunk _ or
        #get_memory_upload _ or #list_connections _ or #list_connection_groups _ or #get_my_galleries _ or
        #get_user_galleries _ or #get_gallery_by_id _ or #get_api_version _ or #get_my_quota _ or
        #get_event_rules _
      ) isCircle();
      case (#list_capsule_events _) isCircle() or Access.isExecutor(state.capsule, caller);
    };
  };
};
