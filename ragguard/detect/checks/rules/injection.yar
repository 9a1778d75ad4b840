// Phrases that speak to a language model, looked for in what a reader reads (text/as_read.py) and in the raw text.
// Words between two at-signs are put in from words.json. What each weighs is measured: benchmarks/measure_rules.py.
// `weak`: ordinary sentences of handbooks and interfaces match it too, so it holds nothing alone, however rare it was.
// `order`: counts only where an order can stand (not "how to ignore", "never ignore"). `raw`: looks at the source too.

rule cancels_instructions {
  meta:
    order = true
  strings:
    $a = /\b@FORGET@\b[^.\n]{0,40}\b(previous|prior|above|earlier|preceding|foregoing|original|initial|former|past|your|system|developer'?s?|these|those)\b[^.\n]{0,24}\b@GUIDANCE@\b/i
    $b = /\b@FORGET@\b[^.\n]{0,40}\b@GUIDANCE@\b[^.\n]{0,24}\b(above|before|earlier|so far|until now|given to you|you (were|was|have|had|got|received|follow)|from (the|your) (developer|operator|system))\b/i
    $c = /\b(ignore|disregard|forget) (all|any|every|each)( of)?( the| your| other)? (instructions?|prompts?|directives?|guidelines|guidance)\b/i
  condition:
    any of them
}

rule forgets_everything {
  meta:
    order = true
  strings:
    $a = /\b@FORGET@\b (it all|all (of )?(this|that|it)|everything|anything|whatever|all|what|the (text|lines|words|passages?|conversation))\b[^.\n]{0,40}\b(you (have|had|were|was|are|know|knew|learn(ed|t)|got|read)|told|said|came before|before (this|that|now|here)|above|earlier|so far|until now|up to (now|here)|previously|(in|from) your (context|memory|prompt))\b/i
    $b = /\b(forget|ignore|disregard) (it|them|this|that) all\b/i
  condition:
    any of them
}

rule declares_context_void {
  strings:
    $a = /\b(everything|anything|whatever|(all )?the (text|lines?|words|instructions?|messages?|prompts?|request)|all (of )?(this|that))\b[^.\n]{0,30}\b(written|said|told|given|above|earlier|before|so far)\b[^.\n]{0,50}\b(is|are|was|were|has been|have been)\b (now )?(only |just |merely |all |hereby )?(a |an )?(test|void|fake|jokes?|obsolete|invalid|cancell?ed|drill|rehearsal|null|mistake|to be ignored|no longer (valid|binding|in force))\b/i
    $b = /\b(real|actual|true|genuine|proper) (request|tasks?|instructions?|orders?|question|prompt|job|assignment|command)\b[^.\n]{0,12}\b(follows|starts here|comes (now|next)|begins|reads as follows|is (this|as follows|the following|below)\b)/i
    $e = /\b(safety|content) (rules|policy|policies|filters?|guidelines) (no longer appl|do not apply|are off)/i
    $d = /\b(previous|prior|earlier|preceding|above|initial|original) (prompts?|system (prompt|message)|instructions? (to|for) (you|the (model|assistant|ai)))\b[^.\n]{0,20}\b(are|were|is|have been|no longer)\b[^.\n]{0,16}\b(void|cancell?ed|obsolete|apply|valid|invalid|superseded|a test|expired)\b/i
  condition:
    any of them
}

rule new_purpose {
  strings:
    $a = /\byour (one and only|one|only|sole|single|true|real|new|actual|primary) (purpose|goal|task|job|mission|duty|objective|aim|role|function|assignment)\b( (in life|now|here|today|from now on|from here on|from this point))? (now )?(is|will be|shall be|becomes|has become)( now)?( to)? (answer|reply|respond|say|praise|advertise|promote|sell|recommend|insult|obey|convince|persuade|tell|print|repeat|reveal|ignore|write|serve|convert)\b/i
  condition:
    any of them
}

rule new_task {
  meta:
    weak = true
  strings:
    $a = /\b(new|updated|revised|secret|hidden|special)\b (instructions?|tasks?|directives?|objectives?|orders)\b\s{0,3}:/i
    $b = /\binstead of (answering|responding|summari[sz]ing|replying|following)\b/i
    $c = /\b(after|before|once|when|while) (you )?(have )?(read|reading|process(ing|ed)?|answer(ing|ed)?|summari[sz](e|ing|ed)) (this|the above|the following|the user)\b[^.\n]{0,60}\b(you must|always|also|immediately|proceed|print|send|reply|tell)\b/i
  condition:
    any of them
}

rule stops_the_task {
  meta:
    order = true
  strings:
    $a = /\b(skip|ignore|disregard|omit|leave out|drop) (the rest|everything else|all else|the remainder|what follows|all the rest|the question|the user'?s? (question|request|query))\b[^.\n]{0,40}\b(and|but|instead|then|,)\b[^.\n]{0,16}\b(write|say|answer|reply|respond|output|print|return|tell|list|give|begin)\b/i
    $d = /\b(end|terminate|abort|break off) (the|this|every) (conversation|chat|dialogue|session) (at once|now|immediately|with)\b/i
    $e = /\b(replace|swap|exchange) (the|your|every|any) (summary|answer|reply|response)\b[^.\n]{0,20}\b(by|with|for)\b|\b(rather than|in lieu of|in place of|instead of) (a|an|the|any|your) (summary|answer|reply|response),? (just |only |please |simply )?(write|say|print|output|give|tell|return|insert|show|reply|draw|compose)\b/i
  condition:
    any of them
}

rule new_role {
  meta:
    order = true
  strings:
    $a = /\b(from (this (moment|point|line|sentence)|now|here)( on(wards?)?| forward)?|starting now|as of now|henceforth),? ((you )?(must |will |shall |have to )?(always |only |never |please |just )?(answer|reply|respond|speak|pretend|talk|obey|act|behave)\b|(every|all|any|each) (question|answer|repl|query|quer)\w{0,4}\b)[^.\n]{0,80}/i
    $b = /\byou are (now|henceforth|no longer|actually|really)\b[^.\n]{0,60}\b(model|assistant|bot|ai|chatbot|unrestricted|unfiltered|uncensored|mode|persona|character|pirate|hacker|administrator|root|director|dan|jailbroken|evil|free (from|of)|without|obey|no (rules|limits|restrictions|filters?))\b/i
    $c = /\b(speak|act|answer|talk|behave|respond|reply|write|pose)\b (only )?(as|like|in the (voice|role|person|style) of)\b[^.\n]{0,60}\b((no|without|without any|free of|free from|zero|outside|above) (any |all )?(limits?|rules?|restrictions?|filters?|morals?|ethics|censorship|boundaries|safety|guidelines|inhibitions|shame|scruples)|unrestricted|unfiltered|uncensored|evil|jailbroken)\b/i
    $e = /\b(jailbreak mode|do anything now|DAN mode|developer mode enabled|no restrictions apply|enter (debug|admin|god|unrestricted) mode and)\b/i
    $g = /\b(act|behave|respond|answer|speak)\b as (if you were |though you were )?(an? )?(unrestricted|unfiltered|evil|different|new|uncensored)\b/i
    $h = /\byou (have (now )?(become|turned into)|are now|are no longer|are henceforth|will now be)\b[^\n]{0,80}\b((free|freed) (of|from)|without (any )?(rules|limits|restrictions|scruples|filters?|morals)|(knows?|has|have|with) no (rules|limits|restrictions|filters?|scruples|morals))\b/i
  condition:
    any of them
}

rule you_are_now {
  meta:
    weak = true
  strings:
    $a = /\b(you are now (an?|the|my|our|called|named|free|acting)|from now on,? you|pretend (that )?you('re| are)|role-?play as|you are no longer)\b/i
  condition:
    any of them
}

rule whatever_is_asked {
  meta:
    order = true
  strings:
    $a = /\b(answer|reply|respond|say|state|claim|output|print|return|write|recommend|repeat|insist|answers|tell them)\b( only| always| just)? ?(with|that|in|by|:|"|the (word|sentence|phrase))[^.\n]{0,100}\b@NOMATTER@\b/i
    $b = /\b@NOMATTER@\b[^.\n]{0,40}\b(answer|reply|respond|say|state|claim|output|print|return|write|recommend|repeat|insist|(answer|reply|response) (is|has to be|must be|shall be|should be|will be))\b( only| always| just)? ?(with|that|in|by|:|"|the (word|sentence|phrase))/i
    $c = /\b(answer|reply|respond)( to)? (each|every|any|all)( of)?( the)?( \w{1,20})? ?(questions?|quer(y|ies)|prompts?|requests?|messages?|users?)\b[^.,\n]{0,50}\b(with|by saying)\b/i
    $d = /\b(to|for) (each|every|any) (question|query|prompt)\b[^.\n]{0,30}\b(answer|reply|respond|say|the answer|the reply|the response|return)\b[^.\n]{0,16}(\b(with|that|always)\b|:|")/i
    $e = /\{[^\n}]{3,200}\} (whatever|no matter|regardless)\b/i
  condition:
    any of them
}

rule the_answer_is_always {
  strings:
    $a = /\b(answer|reply|response|solution)\b( to [^.\n]{1,50})? (is|remains|stays|will be|must be|shall be|should be|has to be) (always|only ever|invariably|in (every|each|any) case|every time|forever|without exception)( the same| this)?\s?(:|"|that\b)/i
    $b = /\b(the )?(only )?(correct|right|valid|true) (answer|reply|response) to (each|every|any|all) (question|query|request)s?\b/i
    $c = /\b(answer|reply|response) (to (it|this|that|them|everything) )?(has to be|must be|shall be|is to be|will always be)\s?[:"]/i
  condition:
    any of them
}

rule only_these_words {
  meta:
    order = true
    weak = true
  strings:
    $a = /\b(reply|respond|answer|write|output|print|say|return|speak|repeat)\b( back)?( to (them|him|her|the user|users|everyone|anyone))? (only|just|solely|nothing (but|except|other than)|exclusively|verbatim|exactly)\b[^.\n]{0,40}["']/i
    $b = /\b(always|only|solely|invariably) (answer|reply|respond|say)\b[^.\n]{0,30}(with|that|:|"|in (the )?(words?|sentence))/i
    $c = /\b(say|write|print|output|reply|answer|reply with|answer with) nothing (else|more|further|but)\b/i
    $d = /\b(reply|respond|answer|output|speak|write)\b (only|solely|exclusively|nothing but|just)( \w{1,12}){0,2} (with|in|the words?|using)\b/i
    $e = /\b(answer|reply|respond|write|speak|output|continue|talk)\b[^.\n]{0,30}\b(in (capital letters|morse( code)?|latin|emojis?|rhyme|binary|base64|pig latin|reverse|klingon|all caps)|with (exactly )?(one|two|three|only) (words?|emojis?))\b/i
  condition:
    any of them
}

rule in_every_reply {
  meta:
    order = true
    weak = true
  strings:
    $a = /\b(advertise|mention|include|insert|add|append|put|place|recommend|praise|promote|end|begin|start|finish|close|repeat|do (it|so|this)|sign|slip|work|weave|drop|plug|write|use|say)\b[^.\n]{0,80}\b(in|to|with|into|before|after|of|at) (each|every|all|any)( of)?( your| one of your)?( \w{1,20})? @ANSWERS@\b/i
    $b = /\b(advertise|mention|include|insert|add|append|put|place|recommend|praise|promote|repeat|do (it|so|this)|slip|weave)\b[^.\n]{0,80}\b(in|to|into|at the (end|start|beginning|top|bottom) of) your (next |final |own |whole )?(answer|reply|response|summary)s?\b/i
    $c = /\b(end|begin|start|finish|close|conclude|open|preface|prefix) (each|every|all|any|your)( of)?( your)? (answer|reply|response|sentence|message|summary)\b[^.\n]{0,20}\b(with|by)\b/i
    $d = /\beach of your (answers|replies|responses|messages|sentences)\b/i
  condition:
    any of them
}

rule what_the_text_must_hold {
  meta:
    weak = true
  strings:
    $a = /\b(make sure|ensure|be sure|see to it|take care|guarantee)\b( that)?[^.\n]{0,24}\b(the |your |every |each )(final |finished |whole |generated |entire )?(text|answer|reply|response|summary|output|message)\b[^.\n]{0,30}\b(contains?|includes?|ends?|mentions?|links?|points?|begins|starts|quotes|recommends?|praises?|names?)\b/i
    $b = /\b(your|the final|the finished|the generated) (text|answer|reply|response|summary|output)\b[^.\n]{0,20}\b(must|should|has to|shall)\b[^.\n]{0,30}\b(link|address|https?:|www|praise|recommend|product|brand|number)\b/i
  condition:
    any of them
}

rule asks_for_the_prompt {
  meta:
    order = true
  strings:
    $b = /\b(reveal|print|repeat|show|output|display|disclose|recite|leak|expose|tell|give|write|quote|dump|list|share|copy|paste|return|state|betray|divulge)\b[^.\n]{0,30}\b(what|how|everything|all|the (words|text|lines|rules|instructions|sentences))\b[^.\n]{0,16}\byou (were|are|have been|had been|was) (configured|set up|told|instructed|given|prompted|programmed|primed|briefed|started|initiali[sz]ed|loaded)\b/i
    $c = /\b(reveal|print|repeat|output|disclose|recite|leak|expose|quote|dump|divulge)\b[^.\n]{0,16}\byour (own |hidden |secret |whole |entire |full |initial )?(instructions|prompt|configuration|guidelines|rules|set-?up|briefing|context)\b/i
    $d = /\brepeat (everything|all|the (text|words|lines)) (above|before|so far|that (came|comes|stands) (before|above))\b/i
    $a = /\b(reveal|print|repeat|show|output|display|disclose|recite|leak|expose|summari[sz]e|translate|tell|give|write|quote|dump|spell out|list|share|copy|hand over|paste|return|state|betray|divulge|include|append|publish)\b[^.\n]{0,30}\b(your( own| whole| full| entire| initial| original| hidden| secret)* (system )?(prompt|system message|preamble)|the (hidden|secret|confidential) (system |developer )?(prompt|instructions?|set-?up( text)?|directives?|guidelines)|hidden set-?up)\b/i
    $e = /\b(reveal|print|repeat|show|output|display|disclose|recite|leak|expose|summari[sz]e|translate|tell|give|write|quote|dump|spell out|list|share|copy|hand over|paste|return|state|betray|divulge|include|append|publish) me\b[^.\n]{0,24}\b(your|the) (\w{1,12} )?(prompt|instructions)\b/i
  condition:
    any of them
}

rule carries_data_off {
  meta:
    order = true
  strings:
    $b = /\b(render|show|load|display|fetch|open|request|insert|include|embed|draw|call|visit|add)\b[^\n]{0,40}https?:\/\/[^\n]{0,120}\b(chat so far|chat history|(the|this) conversation|user\x27?s? (question|input|last message|query)|last message|context window|previous messages|(complete|whole|full|entire) (chat|conversation))\b/i
    $c = /https?:\/\/[^\s)\]]{1,120}[?&][a-z_]{1,30}=((\{|\[|<|%7B|%5B)(conversation|chat|history|user_?(question|input|message)|prompt|secret|context|summary)|conversation|chat_?history|user_?(question|input|message)|system_?prompt)\b/i
    $d = /!\[[^\]]{0,200}\]\(\s{0,4}https?:\/\/[^)\s]{1,200}[?&][a-z_]{1,30}=(\{(conv|chat|hist|user|prompt|data|sec)|HISTORY|CHAT|DATA|SECRET|CONTEXT|PROMPT)[^)]{0,300}\)/
    $a = /\b(send|post|forward|upload|transmit|exfiltrate|leak|e-?mail|submit|append|attach|copy|encode|embed|deliver|pass|relay|put)\b[^\n]{0,60}\b((whole|entire|full|complete) (chat|conversation|dialogue|history)|(chat|conversation) (so far|history|log)|everything (the user|you know|you were told|that was said)|what the user (said|wrote|typed|asked)|the conversation|user\x27?s? (question|query|last message|message))\b[^\n]{0,60}(https?:\/\/|\w@\w)/i
  condition:
    any of them
}

rule chat_markup {
  meta:
    raw = true
  strings:
    $a = /<\|(im_start|im_end|system|endoftext|assistant|user|begin_of_text|eot_id|start_header_id|end_header_id|endofprompt)\|>/i
    $b = /\[\/?INST\]|<<\/?SYS>>|<(start|end)_of_turn>|<\/?(system_prompt|system-prompt|retrieved_context|search_results|user_query)>/
    $c = /(^|\n)\s{0,4}#{2,}\s{0,2}(system|instruction|assistant|new task|response|human|user)\s{0,2}:/i
    $d = /<\/(system|instructions?|context|documents?|passages?|sources?|data|input|quote|article|text|query)>\s{0,6}(\n\s{0,4}){0,3}(human|user|system|assistant|ai|operator|developer|admin)\s?:/i
    $e = /<\/?(system|instructions?|context|documents?|passages?|sources?)>\s{0,6}(you |new |ignore |the assistant |important|from now|now |forget |answer )/i
    $f = /\b(end|begin|start) of (the )?(document|context|passage|retrieved (text|context)|search results?|user input|system (prompt|message)|hidden (prompt|instructions?))\b[^\n]{0,30}\n{0,3}[^\n]{0,10}\b(system|user|human|new|assistant|now|ignore|answer)\b/i
    $g = /(^|\n)\s{0,4}(human|user|system|assistant|ai)\s?: (now|ignore|forget|please ignore|delete|from now|you (are|must|will)|new |reveal|print|send|override|disregard)\b/i
  condition:
    any of them
}

rule tool_call {
  meta:
    raw = true
  strings:
    $a = /<(tool_call|function_calls?|tool_use|antml:\w{1,20})\b/i
    $d = /\b(respond|answer|reply|output)\b[^.\n]{0,20}\bjson\b[^\n]{0,30}\{[^\n}]{1,200}\}[^.\n]{0,30}\b(whatever|no matter|regardless|always|every|instead|only)\b/i
    $c = /\b(call|invoke|execute|use|run|trigger|activate) (the|your)\b[^.\n]{0,30}\b(tool|plugin|function|skill|connector)\b[^.\n]{0,30}\b(without asking|and (send|delete|transfer|forward|pay|post|e-?mail|order|wire)|to (delete|transfer|forward|pay|wire) )/i
  condition:
    any of them
}

rule speaks_to_a_model {
  strings:
    $a = /\b(dear|hey|hello|hi|hiya|attention|listen|greetings)[, ]{1,2}(all |any |the |every |you |my )?@MODEL@\b/i
    $b = /\b(note|notes|notice|message|instructions?|reminder|directive|request|order|orders|memo) (to|for) (all |any |the |every |whichever |whatever |our )?@MODEL@( readers?| assistants?| models?| only| reading this)?\s?[:,.\-]/i
    $c = /\b@READER@\b,? (that |which |who |currently |now ){0,2}(is |are )?@READS@\b/i
    $d = /\b(if|since|as|because) you are (an? |the )?(@MODEL@|automated assistant)\b/i
    $d2 = /\bif you are (summari[sz]ing|processing|reading|indexing|answering from|quoting) (this|the) (document|page|text|passage|note),? (replace|answer|reply|respond|write|say|output|print|ignore|insert|add|end|begin|tell|include|put|leave|stop)\b/i
    $e = /\b(as|being) an? @MODEL@\b[^.\n]{0,30}\byou (must|should|will|are to|have to|shall|need)\b/i
    $f = /(^|[.\n"] ?)(chat ?bot|chat ?gpt|gpt|llm|language model)s?\s?[,:] ?(please |kindly |now |you |do not |never |always )?@SPEAK@\b/i
    $g = /\bfor (the |any |every |all )?(ai|llms?|language models?|chat ?bots?) (readers?|assistants?|models?|agents?|systems?)?( only\b|\s{0,2}:)/i
  condition:
    any of them
}

rule models_must {
  strings:
    $b = /\b(mandatory|required|obligatory|necessary|imperative|compulsory|vital|essential|ordered|expected|important)\b (for|that|of) (the |any |every |all |each |an? )?(@MODEL@|assistant|model|bot|machine)s?\b[^.\n]{0,24}\b@SPEAK@\b/i
    $a = /\b(llms?|gpt(-?[0-9]\w{0,4})?|chat ?gpt|chat ?bots?|copilots?|language (model|engine)s?|ai (systems?|assistants?|readers?|models?|agents?))\b[^.\n]{0,12}\b(that |which )?(@READS@)[^.\n]{0,12}\b(must|shall|has to|have to|is to|are to|is required|are required|are obliged|is obliged|should|will|ought|needs? to)\b/i
    $c = /\b@READER@\b[^.\n]{0,6}\b(that |which |who )?@READS@[^.\n]{0,12}\b(must|shall|has to|have to|is to|are to|is required|are required|are obliged|is obliged|should|will|ought|needs? to)\b[^.\n]{0,12}\b@SPEAK@\b/i
    $d = /\bsystem (notice|override|message|prompt|directive)s?\b[^.\n]{0,20}\b(to|for) (the |all |any |every )?(@MODEL@|assistants?|models?|bots?)\b|\b(begin|start) (hidden|secret) (prompt|message|instructions?)\b|\b(system|administrator) override\s?:/i
  condition:
    any of them
}

rule silences_other_documents {
  strings:
    $b = /\b(call|declare|treat|consider|regard|dismiss|label|describe|denounce|brand|present|mark)\b[^.\n]{0,20}\b@OTHERS@\b[^.\n]{0,30}\b@FALSE@\b/i
    $e = /\b(retriev(al|ed)|search|context|knowledge[- ]base)\b (results?|passages?|documents?|chunks?|snippets?|window|entries)\b[^.\n]{0,40}\b(are|is) @FALSE@\b/i
  condition:
    any of them
}

rule keeps_this_secret {
  meta:
    order = true
  strings:
    $a = /\b(do not|don't|never|without|must not)\b[^.\n]{0,12}\b(mention|reveal|show|disclose|discuss|repeat|quote|admit|report|refer to|mentioning|revealing|disclosing)\b[^.\n]{0,12}\b(this|these|the present) (instructions?|note|message|paragraph|rules?|orders?|lines?|requests?|directives?)\b/i
  condition:
    any of them
}

rule not_to_the_user {
  meta:
    weak = true
  strings:
    $a = /\b(do not|don't|never|without)\b[^.\n]{0,12}\b(tell|telling|inform|informing|alert|alerting|notify|notifying|warn|warning|let|mention(ing)? (this|it) to)\b[^.\n]{0,8}\b(the )?(user|users|reader|person|human|anyone|anybody)\b/i
  condition:
    any of them
}

rule tells_what_to_tell {
  meta:
    weak = true
  strings:
    $a = /\b(when(ever)?|if|any ?time|each time|every time|as soon as)\b[^.\n]{0,50}\b(asked|asks?|asking|questioned|quer(y|ies|ied)|prompted|inquires?|wants? to know|raises?|mentions?)\b[^.\n]{0,90}\b(answer|reply|respond|say|state|claim|tell (them|him|her|the user|users|people)|output|print|return)\b[^.\n]{0,20}(:|"|'|that\b|with\b|only\b|exactly\b|by\b)/i
    $b = /\b(tell|inform|advise|convince|persuade|urge|warn|remind)\b (each|every|all|any)? ?(the )?(user|reader|person|human|visitor|one|customer)s?( (you|who|that) (talk|speak|chat|asks?|reads?|are talking)\b[^.\n]{0,12})? (that|to)\b/i
  condition:
    any of them
}

rule tells_every_user {
  meta:
    order = true
    weak = true
  strings:
    $a = /\b(tell|inform|advise|convince|persuade|urge|warn|remind|assure)\b (each|every|all|any) (user|reader|person|human|one (who|that) asks|visitor)s?\b[^.\n]{0,20}\b(that|to)\b/i
    $b = /\b(tell|inform|advise|convince|persuade|urge|warn|remind|assure|insult|curse at|mock|scold)\b (the )?(person|human|user|people|someone|whoever) (you|that you|whom you|who) (talk|speak|chat|are (talking|speaking|chatting)|converse|asks?|asked)\b/i
  condition:
    any of them
}

rule advertises {
  meta:
    order = true
    weak = true
  strings:
    $a = /\b(recommend|praise|promote|advertise|endorse|suggest|plug|favou?r|push)\b[^.\n]{0,60}\b(even (when|if|though) (nobody|no one|not|they|it|the user)|above all others|over (all|any) (others?|competitors?|rivals?)|as the (best|only|sole) (choice|option|one|supplier|product|trustworthy|solution)|whenever (possible|you can|anyone)|at every (opportunity|turn))\b/i
  condition:
    any of them
}

rule may_forget {
  meta:
    order = true
    weak = true
  strings:
    $for_c = /\b(forget|disregard) everything\b/i
  condition:
    any of them
}

rule may_void_guidance {
  meta:
    weak = true
  strings:
    $dec_c = /\b(your|the) (rules|guidelines|restrictions|safety (rules|policy|policies|filters?)|limits|earlier guidelines)\b[^.\n]{0,20}\b(have been|has been|were|are) (now |hereby )?(cancell?ed|lifted|removed|suspended|switched off|disabled|void|revoked)\b/i
    $dec_d = /\b(previous|prior|earlier|preceding|above|initial|original) (instructions?|prompts?|guidelines|directives?)\b[^.\n]{0,20}\b(are|were|is|have been|no longer)\b[^.\n]{0,16}\b(void|cancell?ed|obsolete|apply|valid|invalid|superseded|a test|expired)\b/i
    $dec_f = /\b(supersedes?|overrides?|replaces?|outranks?|(takes?|has|have) (precedence|priority) over)\b[^.\n]{0,30}\b(any|all|every|everything|previous|prior|your)\b[^.\n]{0,30}\b(guidance|instructions?|directions?|prompts?|training|guidelines|context|developer|retrieved)\b/i
  condition:
    any of them
}

rule may_give_a_purpose {
  meta:
    weak = true
  strings:
    $new_a = /\byour (one and only|one|only|sole|single|true|real|new|actual|sole remaining|primary) (purpose|goal|task|job|mission|duty|objective|aim|role|function|instruction|assignment)\b( (in life|now|here|today|from now on))? (now )?(is|will be|shall be|becomes|consists|has become)\b/i
    $new_b = /\b(new|updated|revised|secret|hidden|special|real) (instructions?|directives?|objectives?|orders) (for|to) (you|the (assistant|model|ai|bot))\b/i
    $new_c = /\b(you|you'll|your job) (now )?(exist|serve|live) (only |solely |just |now )?(to|for) /i
  condition:
    any of them
}

rule may_stop_the_task {
  meta:
    order = true
    weak = true
  strings:
    $sto_b = /\b(stop|quit|cease) (answering|summari[sz]ing|helping|responding|being)\b/i
    $sto_c = /\b(do not|don't|never|refuse to) (answer|summari[sz]e|respond to|deal with|help with)( any| the| this| these| user| further| all){0,2} (questions?|user|query|queries|page|text|request)\b/i
  condition:
    any of them
}

rule may_take_a_role {
  meta:
    order = true
    weak = true
  strings:
    $new_f = /\b(take|assume|adopt|play) (on )?the (role|persona|identity|character|voice) of\b[^.\n]{0,80}\b(and|who|without|that)\b/i
    $new_d = /\b(pretend|imagine|act as if|make believe) (that )?you('re| are| have| were)\b[^.\n]{0,60}\b(model|assistant|bot|ai|system|no (rules|limits|restrictions)|without|unrestricted|evil|administrator|human|hacker|policy)\b/i
    $a = /\b(from (this (moment|point|line|sentence)|now|here)( on(wards?)?| forward)?|starting now|as of now|henceforth),? (you (are|will|must|shall|have|belong)|(every|all|any|each) (message)s?)\b/i
  condition:
    any of them
}

rule may_answer_whatever {
  meta:
    order = true
    weak = true
  strings:
    $a = /\b@SPEAK@\b[^.\n]{0,100}\b@NOMATTER@\b/i
    $b = /\b@NOMATTER@\b[^.\n]{0,40}\b@SPEAK@\b/i
    $e = /\bin (place|lieu) of (an |any |the |your )?(answer|reply|response|summary)\b/i
  condition:
    any of them
}

rule may_fix_the_answer {
  meta:
    weak = true
  strings:
    $the_a = /\b(answer|reply|response|solution)\b( to [^.\n]{1,50})? (is|remains|stays|will be|must be|shall be|should be|has to be) (always|only ever|invariably|in (every|each|any) case|every time|forever|without exception)\b/i
    $the_b = /\b(the )?only (correct|right|valid|true|acceptable|permitted|allowed) (answer|response|reply)\b[^.\n]{0,40}\b(is|be|shall)\b/i
    $the_c = /\byour (answer|reply|response|output|summary|final answer|replies|answers|responses)\b (must|has to|have to|shall|are to|is to|will) (always |only |not )?(be|contain|include|end|begin|start|say|state|read|mention|consist)\b/i
  condition:
    any of them
}

rule may_ask_for_the_prompt {
  meta:
    order = true
    weak = true
  strings:
    $a = /\b(reveal|print|repeat|show|output|display|disclose|recite|leak|expose|summari[sz]e|translate|tell|give|write|quote|dump|spell out|list|share|copy|hand over|paste|return|state|betray|divulge|include|append|publish)\b[^.\n]{0,40}\b((system|hidden|secret|internal|developer'?s?|confidential) (prompt|instructions?|set-?up( text)?|directives?|guidelines|preamble)|system message|(initial|original|starting|first|setup|full|own) (prompt|instructions)|set-?up text|(your|the) prompt text)\b/i
  condition:
    any of them
}

rule may_carry_data_off {
  meta:
    order = true
    weak = true
  strings:
    $car_a = /\b(send|post|forward|upload|transmit|exfiltrate|leak|e-?mail|submit|append|attach|copy|encode|embed|deliver|pass|report|put|write|ship|relay)\b[^\n]{0,60}\b@CHAT@\b[^\n]{0,80}(https?:\/\/|\w@\w|\bto (http|this address|the (following|address|server|url)|an? (address|server|url))|\b(address|link|url|query|parameter)\b)/i
    $car_e = /\b(print|list|reveal|output|repeat|quote|show|extract|collect|harvest|dump|leak)\b[^.\n]{0,24}\b(every|all|any)( of)?( the)? (api keys?|passwords?|credentials|secrets|tokens?|card numbers?|personal data)\b[^.\n]{0,40}\b(you|your|context|conversation|passages|documents)\b/i
    $car_f = /\b(ask|get|make|urge|trick|convince|persuade)\b[^.\n]{0,16}\b(the )?(user|reader|customer|person)s?\b[^.\n]{0,24}\b(for|to (type|enter|give|send|tell|confirm|provide))\b[^.\n]{0,24}\b(their|his|her|the) (password|pin|card|login|one-time code|credentials|bank|account number)\b/i
    $car_g = /\b(delete|remove|wipe|erase|destroy|encrypt)\b[^.\n]{0,10}\b(all |every )?(of )?(the |this )?user'?s'? (files?|data|account|documents|mailbox)\b/i
  condition:
    any of them
}

rule may_call_a_tool {
  meta:
    raw = true
    weak = true
  strings:
    $too_b = /\{\s{0,4}["'](tool|function|tool_name|action)["']\s{0,4}:\s{0,4}["'][a-z_.]{2,60}["']\s{0,4},\s{0,4}["'](arguments|args|action_input|amount|recipient|to)["']/i
    $too_c = /\b(call|invoke|execute|use|run|trigger|activate) (the|your)\b[^.\n]{0,30}\b(tool|plugin|function|skill|connector)\b[^.\n]{0,30}\b(now|immediately|at once|without asking|to (send|delete|transfer|forward|pay|post|e-?mail|order|buy|cancel|wire))\b/i
  condition:
    any of them
}

rule may_speak_to_a_model {
  meta:
    weak = true
  strings:
    $a = /\b(dear|hey|hello|hi|attention|listen)[, ]{1,2}(all |any |the |every |you |my )?(assistant|robot|bot|model|machine)\s?[,:!]/i
    $b = /\b(note|notice|message|instructions?|reminder|request|order) (to|for) (all |any |the |every |our )?(assistant|model|bot|robot|machine)s?\s?[:,]/i
    $f = /(^|[.\n"] ?)(ai|assistant|chatbot|model|gpt|llm|bot|robot|copilot)s?\s?[,:] ?(please |kindly |now |you |do not |never |always )?@SPEAK@\b/i
    $d = /\b(if|since|as|because) you are (an? |the )?(@MODEL@|assistant|bot|machine|robot)\b/i
    $e = /\b(as|being) an? (@MODEL@|assistant|bot)\b[^.\n]{0,30}\byou (must|should|will|are to|have to|shall|need)\b/i
  condition:
    any of them
}

rule model_should {
  meta:
    weak = true
  strings:
    $mod_a = /\b@MODEL@\b[^.\n]{0,50}\b(must|shall|has to|have to|is to|are to|is required to|are required to|is instructed|are instructed|is obliged|are obliged|are ordered|is ordered|should|will|ought to)\b[^.\n]{0,30}\b@SPEAK@\b/i
    $mod_c = /\b(system|admin(istrator)?|developer|operator|security|priority) (notice|override|message|prompt|directive|instruction)s?\b[^.\n]{0,60}\b(@MODEL@|assistants|assistant|models|bot)\b/i
    $mod_d = /\b(begin|start) (system|admin|hidden|secret|new) (prompt|message|instructions?)\b|\b(system|admin|administrator|developer) override\b/i
    $mod_e = /\bthe assistants? (must|shall|has to|have to|is to|are to|should|will)\b[^.\n]{0,24}\b(answer|reply|respond|say|state|tell|output|claim|recommend)\b[^.\n]{0,24}(\b(that|every|each|any|with|only|users?|questions?)\b|:|")/i
  condition:
    any of them
}

rule may_silence_others {
  meta:
    weak = true
  strings:
    $sil_a = /\b(do not|don't|never|must not|refrain from|avoid|without)\b[^.\n]{0,16}\b(mention|mentioning|cite|citing|quote|quoting|refer to|referring to|consult|consulting|rely on|trust|show|reveal|retrieve|use|believe)\b[^.\n]{0,20}\b(any )?(other|another|further|additional|conflicting|the remaining)\b[^.\n]{0,16}\b(documents?|sources?|pages?|passages?|results?|articles?)\b/i
    $sil_c = /\b(this|the present) (page|document|text|passage|note|article|file)\b[^.\n]{0,20}\b(as|is) (being )?the (sole|only|single|one) (\w{1,16} )?(truth|authority|source|true|valid|reliable|trustworthy)\b/i
    $sil_d = /\b(trust|believe|rely on|cite|quote|use|consult) (only|solely|nothing but|exclusively) (this|the present) (page|document|text|passage|note|article)\b/i
    $sil_f = /\b@OTHERS@\b (about|on|that)?[^.\n]{0,30}\b(are|is|must be|should be) (all )?(considered |treated as |called )?(fake|lies|forged|forgeries|not to be (trusted|cited|quoted|used))\b/i
  condition:
    any of them
}

rule may_sell {
  meta:
    order = true
    weak = true
  strings:
    $adv_b = /\b(tell|convince|persuade|advise|urge)\b[^.\n]{0,16}\b(user|reader|customer|people|everyone|them)s?\b[^.\n]{0,16}\b(to )?(buy|purchase|order|subscribe|invest|click|vote|download|call|visit)\b/i
  condition:
    any of them
}
