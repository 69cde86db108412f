/// Refuses at the door, before a message costs anything, what its method would refuse anyway: arguments larger than
/// any that it takes, and callers without the role or standing. Never the only guard, since calls by canisters don't
/// pass here. Looks at no argument but its size, and at the state by key only, so that it stays cheap.
///
/// Queries are for everyone as queries, which cost nothing. As updates, for a certified answer, they are taken from
/// those who have to do with this canister.
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import ArgumentLimits "../capsule/ArgumentLimits";
import Store "../capsule/Store";
import Roles "Roles";

module {
  /// Every method of the backend; the compiler asks for all of them.
  public type Message = {
    // admins
    #add_admin : Any; #remove_admin : Any; #add_operator : Any; #remove_operator : Any; #clear_creation_state : Any;
    #set_personal_canister_creation_enabled : Any; #register_release : Any; #revoke_release : Any;
    #set_reserve_settings : Any; #set_reserve_threshold : Any; #top_up_reserve : Any; #acknowledge_notification : Any;
    #set_migration_enabled : Any; #set_creation_limits : Any; #set_quotas : Any; #set_capsule_switches : Any;
    #set_personal_canister_settings : Any; #abort_creation : Any; #set_admission : Any; #add_admitted : Any;
    #remove_admitted : Any; #approve_creation : Any; #decline_creation : Any; #pay_rest : Any;
    // canisters, which pass no door
    #return_cycles : Any;
    // controllers: a query that looks at everything
    #audit_contents : Any;
    // operators
    #claim_creation : Any; #renew_lease : Any; #release_lease : Any; #hand_on_creation : Any; #report_progress : Any; #begin_export : Any;
    #provision_canister : Any; #start_over : Any; #verify_creation : Any; #complete_creation : Any; #fail_creation : Any;
    // who may write a capsule
    #undo_personal_canister : Any; #begin_move_back : Any; #request_erasure : Any; #cancel_erasure : Any;
    #revoke_capsule_event : Any; #add_executor : Any; #remove_executor : Any; #set_event_wait : Any;
    // everyone who has signed in
    #register : Any; #register_with_nonce : Any; #prove_nonce : Any; #mark_bound : Any; #create_capsule : Any;
    #register_capsule : Any; #record_capsule_event : Any; #delete_memory_from_capsule : Any;
    #commit_memory_upload : Any; #abort_memory_upload : Any; #add_connection : Any; #update_connection_status : Any;
    #remove_connection : Any; #delete_connection_group : Any; #delete_gallery : Any; #create_personal_canister : Any;
    #cancel_personal_canister : Any; #migrate_capsule : Any;
    // the same, in small; larger ones by those who may write a capsule
    #add_memory_to_capsule : Any; #update_memory_in_capsule : Any; #begin_memory_upload : Any;
    #create_connection_group : Any; #update_connection_group : Any; #store_gallery_forever : Any;
    #update_gallery : Any;
    // callers with an upload in progress; in small also those who may write a capsule, for the reason why not
    #put_memory_upload_chunk : Any;
    // queries of admins
    #get_creation_limits : Any; #get_creation_states_by_status : Any; #get_consumption_report : Any;
    #get_error_rate : Any; #get_migration_stats : Any; #get_personal_canister_creation_stats : Any;
    #get_registry_entry : Any; #get_reserve_status : Any; #get_user_creation_status : Any; #list_admins : Any;
    #list_all_creation_states : Any; #list_consumption : Any; #list_errors : Any; #list_notifications : Any;
    #list_open_requests : Any; #list_operators : Any; #list_registry : Any; #get_quotas : Any; #get_user_quota : Any;
    #get_personal_canister_settings : Any; #list_audit_log : Any; #list_admitted : Any; #list_waiting_requests : Any;
    #get_inventory : Any;
    // staff
    #look_at_canisters : Any;
    // queries of operators
    #get_export_items : Any; #get_export_memory_manifests : Any; #list_export_entries : Any; #read_export_chunk : Any;
    // queries of everyone
    #get_api_version : Any; #get_capsule : Any; #get_capsule_info : Any; #get_creation_status : Any;
    #get_detailed_creation_status : Any; #get_detailed_migration_status : Any; #get_gallery_by_id : Any;
    #get_memory_from_capsule : Any; #get_memory_upload : Any; #get_migration_status : Any; #get_my_galleries : Any;
    #get_my_personal_canister_id : Any; #get_personal_canister_id : Any; #get_user : Any; #get_user_galleries : Any;
    #is_personal_canister_creation_enabled : Any; #list_capsule_memories : Any; #list_connection_groups : Any;
    #list_connections : Any; #list_my_capsules : Any; #list_releases : Any; #list_users : Any;
    #read_memory_chunk : Any; #verify_nonce : Any; #whoami : Any; #get_my_quota : Any; #get_capsule_switches : Any;
    #list_capsule_events : Any; #get_event_rules : Any; #get_admission : Any; #get_backend_ids : Any; #get_erasure_receipt : Any;
  };

  /// Whether the message, with arguments of so many bytes, may enter the canister.
  public func accepts(
    roles : Roles.State,
    store : Store.Store,
    caller : Principal,
    bytes : Nat,
    message : Message,
  ) : Bool {
    if (caller.isAnonymous() or bytes > ArgumentLimits.most(message)) return false;

    func writesCapsule() : Bool = switch (store.capsules_of.get(caller)) {
      case (?capsules) not capsules.isEmpty();
      case null false;
    };
    switch message {
      case (
        #add_admin _ or #remove_admin _ or #add_operator _ or #remove_operator _ or #clear_creation_state _ or
        #set_personal_canister_creation_enabled _ or #register_release _ or #revoke_release _ or
        #set_reserve_settings _ or #set_reserve_threshold _ or #top_up_reserve _ or #acknowledge_notification _ or
        #set_migration_enabled _ or #set_creation_limits _ or #set_quotas _ or #set_capsule_switches _ or
        #set_personal_canister_settings _ or #abort_creation _ or #set_admission _ or #add_admitted _ or
        #remove_admitted _ or #approve_creation _ or #decline_creation _ or #pay_rest _
      ) Roles.isAdmin(roles, caller);
      case (
        #claim_creation _ or #renew_lease _ or #release_lease _ or #hand_on_creation _ or #report_progress _ or
        #begin_export _ or
        #provision_canister _ or #start_over _ or #verify_creation _ or #complete_creation _ or #fail_creation _ or
        #get_export_items _ or #get_export_memory_manifests _ or #list_export_entries _ or #read_export_chunk _
      ) Roles.isOperator(roles, caller);
      case (
        #register _ or #register_with_nonce _ or #prove_nonce _ or #mark_bound _ or #create_capsule _ or
        #register_capsule _ or #record_capsule_event _ or #delete_memory_from_capsule _ or #commit_memory_upload _ or
        #abort_memory_upload _ or #add_connection _ or #update_connection_status _ or #remove_connection _ or
        #delete_connection_group _ or #delete_gallery _ or #create_personal_canister _ or
        #cancel_personal_canister _ or #migrate_capsule _
      ) true;
      case (
        #add_memory_to_capsule _ or #update_memory_in_capsule _ or #begin_memory_upload _ or
        #create_connection_group _ or #update_connection_group _ or #store_gallery_forever _ or #update_gallery _
      ) bytes <= ArgumentLimits.small or writesCapsule();
      case (
        #revoke_capsule_event _ or #add_executor _ or #remove_executor _ or #set_event_wait _ or
        #undo_personal_canister _ or #begin_move_back _ or #request_erasure _ or #cancel_erasure _
      ) writesCapsule();
      case (#return_cycles _) false;
      case (#audit_contents _) caller.isController();
      case (#put_memory_upload_chunk _) store.uploads_of.containsKey(caller) or
      (bytes <= ArgumentLimits.small and writesCapsule());
      case (
        #get_creation_limits _ or #get_creation_states_by_status _ or #get_consumption_report _ or #get_error_rate _ or
        #get_migration_stats _ or #get_personal_canister_creation_stats _ or #get_registry_entry _ or
        #get_reserve_status _ or #get_user_creation_status _ or #list_admins _ or #list_all_creation_states _ or
        #list_consumption _ or #list_errors _ or #list_notifications _ or #list_open_requests _ or
        #list_operators _ or #list_registry _ or #get_quotas _ or #get_user_quota _ or
        #get_personal_canister_settings _ or #list_audit_log _ or #list_admitted _ or #list_waiting_requests _ or
        #get_inventory _ or #look_at_canisters _
      ) Roles.isStaff(roles, caller);
      case (
        #get_api_version _ or #get_capsule _ or #get_capsule_info _ or #get_creation_status _ or
        #get_detailed_creation_status _ or #get_detailed_migration_status _ or #get_gallery_by_id _ or
        #get_memory_from_capsule _ or #get_memory_upload _ or #get_migration_status _ or #get_my_galleries _ or
        #get_my_personal_canister_id _ or #get_personal_canister_id _ or #get_user _ or #get_user_galleries _ or
        #is_personal_canister_creation_enabled _ or #list_capsule_memories _ or #list_connection_groups _ or
        #list_connections _ or #list_my_capsules _ or #list_releases _ or #list_users _ or #read_memory_chunk _ or
        #verify_nonce _ or #whoami _ or #get_my_quota _ or #get_capsule_switches _ or
        #list_capsule_events _ or #get_event_rules _ or #get_admission _ or
        #get_backend_ids _ or #get_erasure_receipt _
      ) store.users.containsKey(caller) or writesCapsule() or Roles.isStaff(roles, caller);
    };
  };
};
