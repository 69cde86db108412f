/// Refuses at the door, before a message costs anything, what its method would refuse anyway: updates by the anonymous
/// caller, methods of admins and operators by others. Never the only guard, since calls by canisters don't pass here.

import Principal "mo:core/Principal";

import Roles "Roles";

module {
  /// Every method of the backend; the compiler asks for all of them.
  public type Message = {
    // admins
    #add_admin : Any; #remove_admin : Any; #add_operator : Any; #remove_operator : Any; #clear_creation_state : Any;
    #set_personal_canister_creation_enabled : Any; #register_release : Any; #revoke_release : Any;
    #set_reserve_settings : Any; #set_reserve_threshold : Any; #top_up_reserve : Any; #acknowledge_notification : Any;
    #set_migration_enabled : Any;
    // operators
    #claim_creation : Any; #renew_lease : Any; #release_lease : Any; #report_progress : Any; #begin_export : Any;
    #provision_canister : Any; #verify_creation : Any; #complete_creation : Any; #fail_creation : Any;
    // everyone who has signed in
    #register : Any; #register_with_nonce : Any; #prove_nonce : Any; #mark_bound : Any; #create_capsule : Any;
    #register_capsule : Any; #record_capsule_event : Any; #add_memory_to_capsule : Any;
    #update_memory_in_capsule : Any; #delete_memory_from_capsule : Any; #begin_memory_upload : Any;
    #put_memory_upload_chunk : Any; #commit_memory_upload : Any; #abort_memory_upload : Any; #add_connection : Any;
    #update_connection_status : Any; #remove_connection : Any; #create_connection_group : Any;
    #update_connection_group : Any; #delete_connection_group : Any; #store_gallery_forever : Any;
    #update_gallery : Any; #delete_gallery : Any; #create_personal_canister : Any; #migrate_capsule : Any;
    // queries, which anyone may also send as updates to have the answer certified
    #AlreadyExists : Any; #Anniversary : Any; #Audio : Any; #Birthday : Any; #Capsule : Any; #CapsuleMaturity : Any;
    #ChecksumMismatch : Any; #ChunkConflict : Any; #Connection : Any; #ConnectionCount : Any; #ConnectionGroup : Any;
    #Custom : Any; #Document : Any; #Err : Any; #EventTriggered : Any; #Gallery : Any; #Image : Any;
    #InvalidArgument : Any; #LimitExceeded : Any; #Locked : Any; #Memory : Any; #MissingChunks : Any; #Moved : Any;
    #NotFound : Any; #Note : Any; #Ok : Any; #Opaque : Any; #Principal : Any; #Scheduled : Any; #SessionExpired : Any;
    #Unauthorized : Any; #Video : Any; #access : Any; #acknowledged_by : Any; #admins : Any; #after : Any;
    #alert_level : Any; #api_version : Any; #at : Any; #attached : Any; #attempts : Any; #available : Any;
    #balance : Any; #base : Any; #bitrate : Any; #blob_ref : Any; #bound : Any; #bound_to_web2 : Any;
    #bytes_done : Any; #bytes_total : Any; #canister_id : Any; #capsule_id : Any; #channels : Any;
    #chunk_checksums : Any; #chunk_size : Any; #completed_at : Any; #config : Any; #connection_groups : Any;
    #connections : Any; #consumed_in_window : Any; #content_checksum : Any; #content_size : Any; #content_type : Any;
    #controller_count : Any; #controllers : Any; #created_at : Any; #created_by : Any; #creation : Any;
    #creation_base_cycles : Any; #creation_cycles_per_byte : Any; #creation_enabled : Any; #creations_in_window : Any;
    #cycles : Any; #cycles_consumed : Any; #data : Any; #date_of_memory : Any; #description : Any; #differences : Any;
    #dimensions : Any; #duration : Any; #duration_ns : Any; #entries : Any; #error : Any; #event : Any; #events : Any;
    #expires_at : Any; #failures : Any; #final_checksum : Any; #format : Any; #galleries : Any;
    #gallery_caption : Any; #gallery_metadata : Any; #get_api_version : Any; #get_capsule : Any;
    #get_capsule_info : Any; #get_consumption_report : Any; #get_creation_states_by_status : Any;
    #get_creation_status : Any; #get_detailed_creation_status : Any; #get_detailed_migration_status : Any;
    #get_error_rate : Any; #get_export_items : Any; #get_export_memory_manifests : Any; #get_gallery_by_id : Any;
    #get_memory_from_capsule : Any; #get_memory_upload : Any; #get_migration_stats : Any; #get_migration_status : Any;
    #get_my_galleries : Any; #get_my_personal_canister_id : Any; #get_personal_canister_creation_stats : Any;
    #get_personal_canister_id : Any; #get_registry_entry : Any; #get_reserve_status : Any; #get_user : Any;
    #get_user_creation_status : Any; #get_user_galleries : Any; #granted_at : Any; #granted_by : Any; #hash : Any;
    #height : Any; #id : Any; #in_flight : Any; #info : Any; #is_controller : Any; #is_featured : Any; #is_new : Any;
    #is_owner : Any; #is_personal_canister_creation_enabled : Any; #is_public : Any; #is_self_capsule : Any;
    #items : Any; #items_done : Any; #items_total : Any; #kind : Any; #last_activity_at : Any; #lease : Any;
    #leased_until : Any; #limit : Any; #list_admins : Any; #list_all_creation_states : Any;
    #list_capsule_memories : Any; #list_connection_groups : Any; #list_connections : Any; #list_consumption : Any;
    #list_errors : Any; #list_export_entries : Any; #list_my_capsules : Any; #list_notifications : Any;
    #list_open_requests : Any; #list_operators : Any; #list_registry : Any; #list_releases : Any; #list_users : Any;
    #locator : Any; #locked_until : Any; #manifest_hash : Any; #matches : Any; #members : Any; #memories : Any;
    #memory : Any; #memory_count : Any; #memory_entries : Any; #memory_id : Any; #memory_type : Any; #message : Any;
    #metadata : Any; #mime_type : Any; #missing_chunks : Any; #module_hash : Any; #name : Any; #needed : Any;
    #next : Any; #note : Any; #operating_minimum : Any; #operators : Any; #origin : Any; #original_name : Any;
    #owner : Any; #owner_count : Any; #owner_principal : Any; #owners : Any; #peer : Any; #people_in_memory : Any;
    #position : Any; #principal_id : Any; #progress : Any; #progress_message : Any; #read_export_chunk : Any;
    #read_memory_chunk : Any; #recommendation : Any; #recommended_top_up : Any; #record_checksum : Any;
    #recorded_at : Any; #recorded_by : Any; #refunded : Any; #registered_at : Any; #requested_at : Any;
    #reserve : Any; #retry_helps : Any; #revision : Any; #sample_rate : Any; #scheme : Any; #settings : Any;
    #since : Any; #size : Any; #source : Any; #source_manifest : Any; #stage : Any; #status : Any;
    #storage_status : Any; #subject : Any; #subnet_id : Any; #success : Any; #tags : Any; #taken_at : Any;
    #target : Any; #threshold : Any; #thumbnail : Any; #title : Any; #total : Any; #total_attempts : Any;
    #total_chunks : Any; #total_consumed : Any; #total_cycles_consumed : Any; #total_failures : Any;
    #total_size : Any; #total_successes : Any; #total_topped_up : Any; #updated_at : Any; #upload_id : Any;
    #uploaded_at : Any; #verified : Any; #verify_nonce : Any; #whoami : Any; #width : Any; #window_ns : Any;
    #worker : Any;
  };

  public func accepts(roles : Roles.State, caller : Principal, message : Message) : Bool {
    switch message {
      case (
        #add_admin _ or #remove_admin _ or #add_operator _ or #remove_operator _ or #clear_creation_state _ or
        #set_personal_canister_creation_enabled _ or #register_release _ or #revoke_release _ or
        #set_reserve_settings _ or #set_reserve_threshold _ or #top_up_reserve _ or #acknowledge_notification _
        or #set_migration_enabled _
      ) Roles.isAdmin(roles, caller);
      case (
        #claim_creation _ or #renew_lease _ or #release_lease _ or #report_progress _ or #begin_export _ or
        #provision_canister _ or #verify_creation _ or #complete_creation _ or #fail_creation _
      ) Roles.isOperator(roles, caller);
      case (
        #register _ or #register_with_nonce _ or #prove_nonce _ or #mark_bound _ or #create_capsule _ or
        #register_capsule _ or #record_capsule_event _ or #add_memory_to_capsule _ or #update_memory_in_capsule
        _ or #delete_memory_from_capsule _ or #begin_memory_upload _ or #put_memory_upload_chunk _ or
        #commit_memory_upload _ or #abort_memory_upload _ or #add_connection _ or #update_connection_status _ or
        #remove_connection _ or #create_connection_group _ or #update_connection_group _ or
        #delete_connection_group _ or #store_gallery_forever _ or #update_gallery _ or #delete_gallery _ or
        #create_personal_canister _ or #migrate_capsule _
      ) not Principal.isAnonymous(caller);
      case _ true;
    };
  };
};
